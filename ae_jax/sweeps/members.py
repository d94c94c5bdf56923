"""One run among those of a program: what of it must outlive a crash, and the directory that it leaves."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core.types import DataSpec
from ae_jax.experiments import hooks, rundir

_NOTED = ("seconds", "status", "reason")


@dataclasses.dataclass
class Member:
    """The run of this config, under the name of its directory."""

    name: str
    config: Any
    hparams: Any
    seconds: float = 0.0
    status: str = ""  # "failed" or "pruned", and the reason why
    reason: str = ""
    kept: dict[int, float | None] = dataclasses.field(default_factory=dict)  # checkpoints and their scores

    def note(self) -> dict[str, Any]:
        """JSON, for `take`."""
        return {**{key: getattr(self, key) for key in _NOTED}, "kept": list(self.kept.items())}

    def take(self, note: Mapping[str, Any]) -> None:
        self.kept = {step: score for step, score in note["kept"]}
        for key in _NOTED:
            setattr(self, key, note[key])

    def end(self, step: int, steps: int, ended: bool) -> dict[str, Any]:
        """How it stands at this step, of so many, where the program has ended or else was stopped."""
        status = self.status or ("done" if ended else "stopped")
        reason = self.reason or ("" if ended else f"stopped at step {step} of {steps}")
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
        """Writes all that training leaves in the directory of the run but checkpoints, which it empties, and the
        result, beside whatever else it holds already. What it writes is not yet flushed to disk.

        format: see `types.FORMAT`. lines, timings: of metrics.jsonl and timings.jsonl.
        """
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
