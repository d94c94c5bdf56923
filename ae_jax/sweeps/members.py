"""A member of a compiled group: one run, and the run directory that it leaves."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core.types import DataSpec
from ae_jax.experiments import hooks, rundir


@dataclasses.dataclass
class Member:
    """One run of a compiled group.

    Attributes:
      name: the name of its directory.
      config: its full config.
      hparams: the numbers of its config that are traced.
      seconds: how long it has trained.
      status: "failed" or "pruned", or "" while it trains.
      reason: why it failed or was pruned.
      kept: {step: score or None} of the checkpoints that it keeps.
    """

    name: str
    config: Any
    hparams: Any
    seconds: float = 0.0
    status: str = ""
    reason: str = ""
    kept: dict[int, float | None] = dataclasses.field(default_factory=dict)

    def note(self) -> dict[str, Any]:
        """Return what a checkpoint of the group must hold of this run, as JSON, for `take`."""
        # Keys of JSON are texts: the steps are kept in a list of pairs.
        kept = list(self.kept.items())
        return {"seconds": self.seconds, "status": self.status, "reason": self.reason, "kept": kept}

    def take(self, note: Mapping[str, Any]) -> None:
        """Restore what `note` returned when the checkpoint was written.

        Args:
          note: the note, as JSON holds it.
        """
        self.seconds, self.status, self.reason = note["seconds"], note["status"], note["reason"]
        self.kept = {step: score for step, score in note["kept"]}

    def end(self, step: int, steps: int, ended: bool) -> dict[str, Any]:
        """Return the status of the run for its result.json.

        Args:
          step: the step that the group has reached.
          steps: the number of steps in all.
          ended: whether the group has come to its end; otherwise it was stopped.
        """
        if self.status:
            status, reason = self.status, self.reason
        elif ended:
            status, reason = "done", ""
        else:
            status, reason = "stopped", f"stopped at step {step} of {steps}"
        return {"status": status, "reason": reason, "seconds": round(self.seconds, 3)}

    def leave(
        self,
        run: rundir.RunDir,
        spec: DataSpec,
        format: int,
        lines: Sequence[Mapping[str, Any]],
        timings: Sequence[Mapping[str, Any]],
        compile_seconds: float,
    ) -> None:
        """Write the run directory, except for its checkpoints and its result.

        Checkpoints, TensorBoard files and a result of an earlier writing are removed; other files stay. The files may
        not be on disk yet when this returns: call os.sync once for all runs of a group.

        Args:
          run: the run directory.
          spec: what the data are.
          format: the format of the run directory; see `ae_jax.core.types.FORMAT`.
          lines: the lines of metrics.jsonl.
          timings: the lines of timings.jsonl.
          compile_seconds: how long the group's program took to compile, for versions.json.
        """
        # The result goes first and comes last: it says that everything else is there.
        run.result.unlink(missing_ok=True)
        for folder in (run.checkpoints, run.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)
        rundir.begin(str(run.path), self.config, spec, format, flush=False, compile_seconds=compile_seconds)
        rundir.write_text(run.metrics, rundir.as_lines(lines), flush=False)
        rundir.write_text(run.timings, rundir.as_lines(timings), flush=False)
        board = hooks.TensorBoard(run, 0)
        for line in lines:
            values = {name: value for name, value in line.items() if name not in ("step", "split")}
            board.scalars(line["split"], line["step"], values)
        board.close()
