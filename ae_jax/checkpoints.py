"""Checkpoints by Orbax: written in the background, the newest K and the best kept, damaged ones moved aside."""

import pathlib
import shutil
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.errors import UserError
from ae_jax.train import TrainState

_DAMAGED = "damaged"


class Checkpoints:
    """The checkpoints of one run, by step number.

    criterion: name of the metric by which the best is kept beside the newest `keep`; direction: "max" or "min".
    warn: called with one line for each checkpoint that is moved aside.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        keep: int = 1,
        criterion: str | None = None,
        direction: str = "max",
        warn: Callable[[str], None] = print,
        read_only: bool = False,
    ):
        # Orbax takes half a second to import, and a program that only reads a config has no use for it.
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers

        self._ocp, self._directory, self._warn = ocp, pathlib.Path(directory).absolute(), warn
        self._criterion, self._sign = criterion, 1 if direction == "max" else -1
        policies = [checkpoint_managers.LatestN(keep)]
        if criterion:
            by = lambda metrics: self._sign * metrics[criterion]
            policies.append(checkpoint_managers.BestN(get_metric_fn=by, n=1, keep_checkpoints_without_metrics=False))
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            step_format_fixed_length=9,
            read_only=read_only,
        )
        self._manager = self._open()

    def _open(self):
        return self._ocp.CheckpointManager(self._directory, options=self._options)

    def save(self, state: TrainState, metrics: Mapping[str, float] | None = None) -> None:
        """Begins to write the state under its step number; `wait` until it is committed."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        # Training donates its state to the next dispatch: what is written in the background must be a copy.
        plain = jax.tree.map(jnp.copy, _plain(state))
        args = self._ocp.args
        items = args.Composite(state=args.StandardSave(plain), digest=args.JsonSave({"crc32": _digest(plain)}))
        known = {k: float(v) for k, v in (metrics or {}).items() if k == self._criterion}
        self._manager.save(step, args=items, metrics=known or None)

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether these metrics beat those of every checkpoint that is kept."""
        best = self.best_step()
        if self._criterion not in metrics:
            return False
        return best is None or self._sign * (metrics[self._criterion] - self._metric(best)) > 0

    def best_step(self) -> int | None:
        scored = [step for step in self.steps() if self._metric(step) is not None]
        return max(scored, key=lambda step: self._sign * self._metric(step), default=None)

    def _metric(self, step: int) -> float | None:
        return (self._manager.metrics(step) or {}).get(self._criterion)

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def restore(self, like: TrainState, which: str | int = "newest") -> TrainState | None:
        """The checkpoint "newest", "best" or of a step number, in the shapes of `like`; None where there is none.

        A newest checkpoint that is damaged is moved to checkpoints/damaged/ with a warning, and the one before taken.
        Raises UserError where the one that was asked for does not exist or cannot be read.
        """
        if which == "newest":
            while steps := self.steps():
                try:
                    return self._read(steps[-1], like)
                except Exception as error:  # whatever a damaged file makes the reader raise
                    self._set_aside(steps[-1], error)
            return None
        step = self.best_step() if which == "best" else int(which)
        if step not in self.steps():
            there = ", ".join(map(str, self.steps())) or "none"
            raise UserError(f"no checkpoint {which!r} in {self._directory}\nwhat exists: {there}")
        return self._read(step, like)

    def _read(self, step: int, like: TrainState) -> TrainState:
        args = self._ocp.args
        target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), _plain(like))
        items = args.Composite(state=args.StandardRestore(target), digest=args.JsonRestore())
        read = self._manager.restore(step, args=items)
        if _digest(read["state"]) != read["digest"]["crc32"]:
            raise ValueError("its arrays are not those that were saved")
        return _typed_key(read["state"])

    def _set_aside(self, step: int, error: Exception) -> None:
        name = next(p.name for p in self._directory.iterdir() if p.name.isdigit() and int(p.name) == step)
        target = self._directory / _DAMAGED / name
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        self._manager.close()
        (self._directory / name).rename(target)
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        self._warn(f"warning: checkpoint {self._directory / name} is damaged ({reason}); moved to {target}")
        self._manager = self._open()

    def wait(self) -> None:
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()


def _plain(state: TrainState) -> dict[str, Any]:
    """The state as a dict of plain arrays: Orbax stores no typed keys."""
    fields = {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
    shape_only = isinstance(state.key, jax.ShapeDtypeStruct)
    data = jax.eval_shape(jax.random.key_data, state.key) if shape_only else jax.random.key_data(state.key)
    return {**fields, "key": data}


def _typed_key(fields: dict[str, Any]) -> TrainState:
    return TrainState(**{**fields, "key": jax.random.wrap_key_data(jnp.asarray(fields["key"]))})


def _digest(tree: Any) -> int:
    """CRC-32 of all arrays in the order of the tree."""
    digest = 0
    for leaf in jax.tree.leaves(tree):
        digest = zlib.crc32(np.ascontiguousarray(leaf), digest)
    return digest
