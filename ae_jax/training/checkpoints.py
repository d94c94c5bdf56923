"""Checkpoints by Orbax: written in the background, the newest K and the best kept, damaged ones moved aside."""

import contextlib
import functools
import pathlib
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import compat, errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.devices import mesh, processes
from ae_jax.training.policy import Policy
from ae_jax.training.step import TrainState

_DAMAGED = "damaged"
_DIGITS = 9


class Checkpoints:
    """The checkpoints of one run, by step number; `keep`, `criterion` and `direction` are those of `Policy`.

    warn: called with one line for each damaged checkpoint; it is moved aside unless `read_only`.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        keep: int = 1,
        criterion: str | None = None,
        direction: str = "max",
        warn: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        read_only: bool = False,
    ):
        self._directory, self._read_only, self._warn = pathlib.Path(directory).absolute(), read_only, warn
        self._policy = Policy(keep, criterion, direction)

    @functools.cached_property
    def _manager(self):
        # Opened at its first use: importing Orbax takes a third of a second, and a new run's first steps do without.
        import orbax.checkpoint as ocp

        compat.silence_orbax()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self, step_format_fixed_length=_DIGITS, read_only=self._read_only
        )
        return ocp.CheckpointManager(self._directory, options=options)

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """What Orbax asks of its preservation policy: which of the checkpoints to keep."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = self.kept({step: self._scores.get(step) for step in steps})
        return [step in kept for step in steps]

    def kept(self, scores: Mapping[int, float | None]) -> Iterable[int]:
        """The steps of the checkpoints to keep, of those with these scores."""
        return self._policy.kept(scores)

    def save(self, state: TrainState, metrics: Mapping[str, float] | None = None, notes: Any = None) -> None:
        """Begins to write the state under its step number; `wait` until it is committed.

        notes: JSON to keep beside it, for `notes` to read. Of the states of several runs, the step is the furthest.
        Raises RunFailed, as `wait` and `close` do, where this one or the one before cannot be written.
        """
        step = int(jnp.max(state.step))
        if step in self.steps():
            return
        # Training donates its state to the next dispatch: what is written in the background must be a copy.
        copied = jax.tree.map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else jnp.copy(leaf), _plain(state))
        self._scores[step] = self._policy.score(metrics)
        with self._told():
            self._manager.save(step, args=_items(copied, self._scores[step], notes))

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether these metrics beat those of every checkpoint that is kept."""
        return self._policy.is_best(metrics, self._present_scores())

    def best_step(self) -> int | None:
        return self._policy.best(self._present_scores())

    def _present_scores(self):
        return {step: self._scores.get(step) for step in self.steps()}

    @functools.cached_property
    def _scores(self) -> dict[int, float | None]:
        scores = {}
        for step in self.steps():
            with contextlib.suppress(Exception):  # a damaged one is dealt with when its state is asked for
                scores[step] = self._record(step)["score"]
        return scores

    def notes(self, step: int) -> Any:
        """What was noted beside the checkpoint of this step, or None."""
        return self._record(step).get("notes")

    def _record(self, step):
        from orbax.checkpoint import args

        return self._manager.restore(step, args=args.Composite(record=args.JsonRestore()))["record"]

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps()) if self._directory.is_dir() else []

    def restore(self, like: TrainState, which: str | int = "newest") -> TrainState | None:
        """The checkpoint "newest", "best" or of a step number, in the shapes of `like`; None where there is none.

        A newest checkpoint that is damaged is moved to checkpoints/damaged/ with a warning, and the one before taken.
        Raises UserError where the one that was asked for does not exist or cannot be read, or is of another model.
        """
        steps = self.steps()
        if which == "newest":
            for step in reversed(steps):
                self._refuse_another_model(step, like)
                try:
                    return self._read(step, like)
                except Exception as error:  # whatever a damaged file makes the reader raise
                    self._set_aside(step, error)
            return None
        step = self.best_step() if which == "best" else int(which) if str(which).isdecimal() else None
        if step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise UserError(f"no checkpoint {which!r} in {self._directory}\nwhat exists: {there}")
        self._refuse_another_model(step, like)
        try:
            return self._read(step, like)
        except Exception as error:
            path, why = self._path(step), errors.first_line(error)
            raise UserError(f"checkpoint {path} is damaged ({why})\ntry --checkpoint=newest") from None

    def _read(self, step: int, like: TrainState) -> TrainState:
        from orbax.checkpoint import args

        # Where a leaf lies is said here, and not in what was saved: that may have been on other devices.
        placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=mesh.state_sharding(leaf.shape))
        target = jax.tree.map(placed, _plain(like))
        items = args.Composite(state=args.StandardRestore(target), record=args.JsonRestore())
        read = self._manager.restore(step, args=items)
        if _digest(read["state"]) != read["record"]["crc32"]:
            raise ValueError("its arrays are not those that were saved")
        return _typed_key(jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), read["state"], target))

    def _refuse_another_model(self, step: int, like: TrainState) -> None:
        """Raises UserError where the arrays have other names or shapes than those of `like`.

        Asked before reading: Orbax, failing, says much, and in each of several processes something else.
        """
        import orbax.checkpoint as ocp

        found = {}
        with contextlib.suppress(Exception), ocp.StandardCheckpointer() as reader:
            found = reader.metadata(self._path(step) / "state").item_metadata.tree
        if not found:
            return
        whole = errors.first_difference(found, _plain(like))
        if difference := errors.first_difference(found.get("params"), like.params) or whole:
            raise UserError(f"checkpoint {self._path(step)} is of another model\n{difference}")

    def _set_aside(self, step: int, error: Exception) -> None:
        path = self._path(step)
        warning = f"warning: checkpoint {path} is damaged ({errors.first_line(error)})"
        if self._read_only:
            return self._warn(f"{warning}; the one before is taken, if any")
        target = self._directory / _DAMAGED / path.name
        self.close()
        if processes.leads():
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)
        self._warn(f"{warning}; moved to {target}")

    def _path(self, step: int) -> pathlib.Path:
        return self._directory / _name(step)

    def wait(self) -> None:
        with self._told():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Ends what is being written. Any further use opens the checkpoints again."""
        if "_manager" in vars(self):
            with self._told():
                vars(self).pop("_manager").close()

    @contextlib.contextmanager
    def _told(self):
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:  # whatever a full disk makes the writer raise
            told = f"no checkpoint can be written in {self._directory}: " + str(error).rpartition('": ')[2]
            raise RunFailed(f"{told}\nthe same command goes on from the last one there") from None


def write(directory: pathlib.Path, state: TrainState, score: float | None) -> None:
    """Writes one checkpoint, with its score by the criterion, which `Checkpoints` then finds in this directory.

    In half the time: nothing is there yet, nothing goes on meanwhile.
    """
    plain = jax.tree.map(np.asarray, _plain(state))
    _writer().save(pathlib.Path(directory).absolute() / _name(int(state.step)), args=_items(plain, score))


@functools.cache
def _writer():
    import orbax.checkpoint as ocp

    return ocp.Checkpointer(ocp.CompositeCheckpointHandler())


def _items(plain: dict[str, Any], score: float | None, notes: Any = None) -> Any:
    """What a checkpoint consists of: the state, and a record of it."""
    from orbax.checkpoint import args

    record = {"crc32": _digest(plain), "score": score, **({} if notes is None else {"notes": notes})}
    return args.Composite(state=args.StandardSave(plain), record=args.JsonSave(record))


def _name(step: int) -> str:
    return f"{step:0{_DIGITS}d}"


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
        digest = zlib.crc32(np.ascontiguousarray(processes.on_host(leaf)), digest)
    return digest
