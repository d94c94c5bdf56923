"""What a sweep answers: its runs, each opened when it is read, and its figures. It needs its directory alone."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, rundir, runner
from ae_jax.plots import style
from ae_jax.sweeps import directory
from ae_jax.sweeps.axes import Assignment


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is done."""

    axes: Assignment
    result: Mapping[str, Any]  # as in result.json
    path: pathlib.Path
    options: Mapping[str, Any]  # of `analysis.load`

    @functools.cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Those of metrics.jsonl."""
        return rundir.read_lines(rundir.RunDir(self.path).metrics)

    def trained(self) -> analysis.Trained:
        return analysis.load(str(self.path), **self.options)

    def scores(self, metric: str, **options: Any) -> dict[str, float]:
        """What a metric answers; its draws are those of `options["seed"]`, and so the same for every run."""
        trained = self.trained()
        prefixed = {f"{metric}_{key}": value for key, value in options.items()}
        return analysis.evaluate(trained.experiment, trained.variables, [metric], trained.data, trained.seed, prefixed)


@dataclasses.dataclass(frozen=True)
class Survey:
    """The runs of a sweep that are done."""

    folder: directory.SweepDir
    runs: list[Run]
    metric: str  # the one by which runs are compared unless another is named
    split: str  # on which runs were evaluated while they trained
    seed: int


def load(workdir: str, **options: Any) -> Survey:
    """The sweep in `workdir`; the options are those of `analysis.load`, for the runs. Raises UserError."""
    folder = directory.SweepDir(pathlib.Path(workdir).absolute())
    config, plan = folder.read()
    results = {name: folder.result(name) for name in plan}
    done = {name: result for name, result in results.items() if result and result["status"] == "done"}
    if not done:
        raise UserError(f"no run of the sweep in {workdir!r} is done\ngo on with scripts/sweep.py --workdir={workdir}")
    runs = [Run(plan[name], result, folder.run(name).path, options) for name, result in done.items()]
    metric = config.eval.criterion
    if metric not in runs[0].result["final"]:
        metric = next(iter(runs[0].result["final"]), "")
    return Survey(folder, runs, metric, runner.held_out_split(config), options.get("seed", 0))


def draw(survey: Survey, names: Sequence[str], options: Mapping[str, Any], file_format: str) -> list[pathlib.Path]:
    """Draws the named figures into figures/; answers the paths. All arrays are made before anything is written."""
    modules = {name: [lookup.find("sweep_figures", name, part) for part in ("arrays", "figure")] for name in names}
    made = {}
    for name, (arrays, _) in modules.items():
        made[name] = arrays(survey, jax.random.key(survey.seed), **analysis.options_for(arrays, name, options))
    return [
        style.save(survey.folder.figures / name, arrays, modules[name][1](arrays), file_format)
        for name, arrays in made.items()
    ]
