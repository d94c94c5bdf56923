"""The metrics and timings of all runs of a compiled group while it trains."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.experiments import rundir

_RUN = "run"  # the key that holds the number of the run, which the lines of a run's own files lack


class History:
    """The lines of all runs of a compiled group.

    The files are `metrics.jsonl` and `timings.jsonl` in the directory of the group. Each line has the number of its
    run. Metrics are in memory too, because evaluation reads them. Timings are not.
    """

    def __init__(self, folder: pathlib.Path, count: int, step: int):
        """Read the lines up to a step; drop later ones, because training repeats their steps.

        Args:
          folder: the directory of the group.
          count: the number of runs.
          step: the step from which training goes on.
        """
        files = rundir.RunDir(folder)
        self._metrics, self._timings = files.metrics, files.timings
        for path in (self._metrics, self._timings):
            rundir.truncate_lines(path, step)
        grouped = _by_run(rundir.read_lines(self._metrics))
        self.lines = {i: grouped[i] for i in range(count)}

    def append(self, step: int, runs: Sequence[int], timings: Sequence[Mapping[str, Any]]) -> None:
        """Append the lines of one step to the files.

        Args:
          step: the step, whose metrics are the last entries of `lines`.
          runs: the numbers of the runs whose metrics are written.
          timings: lines of timings.jsonl, each with the number of its run.
        """
        fresh = []
        for i in runs:
            fresh += [{_RUN: i, **line} for line in self.lines[i] if line["step"] == step]
        rundir.append_line(self._metrics, *fresh)
        rundir.append_line(self._timings, *timings)

    def timings(self) -> Mapping[int, Sequence[Mapping[str, Any]]]:
        """Return {number of a run: its lines of timings.jsonl}."""
        return _by_run(rundir.read_lines(self._timings))


def _by_run(lines: Sequence[Mapping[str, Any]]) -> Mapping[int, list[dict[str, Any]]]:
    """Return the lines of each run, without its number."""
    found = collections.defaultdict(list)
    for line in lines:
        found[line[_RUN]].append({key: value for key, value in line.items() if key != _RUN})
    return found
