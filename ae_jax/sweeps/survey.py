"""The finished runs of a sweep, each opened when it is read, and figures of them.

Only the sweep's directory is needed.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ae_jax.core import files, lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, rundir, runner
from ae_jax.plots import style
from ae_jax.sweeps import directory
from ae_jax.sweeps.axes import Assignment


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is done.

    Attributes:
      axes: its values of the axes.
      result: the content of its result.json.
      path: its directory.
      options: keyword arguments of `analysis.load`.
    """

    axes: Assignment
    result: Mapping[str, Any]
    path: pathlib.Path
    options: Mapping[str, Any]

    @functools.cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of its metrics.jsonl."""
        return rundir.read_lines(rundir.RunDir(self.path).metrics)

    def trained(self) -> analysis.Trained:
        """Load the trained model and the data."""
        return analysis.load(str(self.path), **self.options)

    def scores(self, metric: str, **options: Any) -> dict[str, float]:
        """Evaluate a metric, with the same random draws for all runs of a survey.

        Args:
          metric: the name of the metric.
          **options: keyword arguments of the metric.
        """
        trained = self.trained()
        prefixed = {f"{metric}_{key}": value for key, value in options.items()}
        return analysis.evaluate(trained.experiment, trained.variables, [metric], trained.data, trained.seed, prefixed)


@dataclasses.dataclass(frozen=True)
class Survey:
    """The runs of a sweep that are done.

    Attributes:
      folder: the sweep's directory.
      runs: the runs.
      metric: the metric by which runs are compared unless another one is named.
      split: the split on which the runs were evaluated while they trained.
      seed: the seed of random draws.
    """

    folder: directory.SweepDir
    runs: list[Run]
    metric: str
    split: str
    seed: int


def load(workdir: str, **options: Any) -> Survey:
    """Open the finished runs of a sweep.

    Args:
      workdir: the sweep's directory.
      **options: keyword arguments of `analysis.load`, for every run.

    Raises:
      UserError: if the directory holds no sweep, or a sweep without a finished run.
    """
    folder = directory.SweepDir(pathlib.Path(workdir).absolute())
    config, plan = folder.read()
    runs = []
    for name, axes in plan.items():
        result = folder.result(name)
        if result and result["status"] == "done":
            runs.append(Run(axes, result, folder.run(name).path, options))
    if not runs:
        raise UserError(
            f"no run of the sweep in {workdir!r} is done\nuse scripts/sweep.py --workdir={workdir} to go on"
        )
    metric = config.eval.criterion
    if metric not in runs[0].result["final"]:
        metric = next(iter(runs[0].result["final"]), "")
    return Survey(folder, runs, metric, runner.held_out_split(config), options.get("seed", 0))


def draw(
    survey: Survey, names: Sequence[str], options: Mapping[str, Any], file_format: str, output: str = ""
) -> list[pathlib.Path]:
    """Draw figures of a sweep into its folder figures/, or into another folder.

    Args:
      survey: the sweep.
      names: the names of the figures, files of `ae_jax.sweeps.figures`.
      options: {NAME_KEYWORD: value} of keyword arguments of the figures.
      file_format: "png" or "pdf".
      output: the folder for the pictures; "" for figures/.

    Returns:
      The paths of the pictures.

    Raises:
      UserError: if a figure is unknown or does not fit the sweep, before anything is written.
      RunFailed: if the disk is full or read-only.
    """
    # All names are looked up, and all arrays are computed, before the first figure is written.
    functions = {name: lookup.find("sweep_figures", name, "arrays") for name in names}
    made = {}
    for name, arrays in functions.items():
        made[name] = arrays(survey, jax.random.key(survey.seed), **analysis.options_for(arrays, name, options))
    folder = pathlib.Path(output).absolute() if output else survey.folder.figures
    paths = []
    with files.naming_disk_errors(folder, files.ELSEWHERE):
        for name, arrays in made.items():
            figure = lookup.find("sweep_figures", name, "figure")
            paths.append(style.save(folder / name, arrays, figure(arrays), file_format))
    return paths
