"""Checkpoints by Orbax: written in the background, and moved aside if they are damaged."""

import contextlib
import functools
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import compat, errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.devices import mesh, processes
from ae_jax.training import stored
from ae_jax.training.policy import Policy
from ae_jax.training.step import TrainState

# The folder, beside the checkpoints, into which damaged ones are moved.
_DAMAGED = "damaged"
# The digits of a step number in a checkpoint's name, so that the order of names is the order of steps.
_DIGITS = 9


class Checkpoints:
    """The checkpoints of one run, by step number."""

    def __init__(
        self,
        directory: pathlib.Path,
        keep: int = 1,
        criterion: str | None = None,
        direction: str = "max",
        warn: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        read_only: bool = False,
    ):
        """Open a directory, which is created when the first checkpoint is saved.

        Args:
          directory: the directory of the checkpoints.
          keep: the number of newest checkpoints to keep; see `Policy`.
          criterion: the metric by which the best checkpoint is kept too.
          direction: "max" if greater values of the criterion are better, or "min".
          warn: a function that is called with one line for each damaged checkpoint.
          read_only: whether damaged checkpoints are left where they are.
        """
        self._directory, self._read_only, self._warn = pathlib.Path(directory).absolute(), read_only, warn
        self._policy = Policy(keep, criterion, direction)

    @functools.cached_property
    def _manager(self):
        """Return Orbax's manager."""
        # Made at its first use: importing Orbax takes a third of a second, and the first steps of a run do not need it.
        import orbax.checkpoint as ocp

        compat.silence_orbax()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self, step_format_fixed_length=_DIGITS, read_only=self._read_only
        )
        return ocp.CheckpointManager(self._directory, options=options)

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """Return, for each checkpoint, whether to keep it.

        Orbax calls this method of its preservation policy.
        """
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = self.kept({step: self._scores.get(step) for step in steps})
        return [step in kept for step in steps]

    def kept(self, scores: Mapping[int, float | None]) -> Iterable[int]:
        """Return the steps of the checkpoints to keep, of those in `scores`, {step: score or None}."""
        return self._policy.kept(scores)

    def save(self, state: TrainState, metrics: Mapping[str, float] | None = None, notes: Any = None) -> None:
        """Start to write a state in the background; `wait` returns when it is complete.

        A step that has a checkpoint already is not written again.

        Args:
          state: the state of one run, or the stacked states of several. The checkpoint has the greatest step number.
          metrics: the metrics of this step, among which is the criterion.
          notes: values for JSON, which the method `notes` returns.

        Raises:
          RunFailed: if this checkpoint, or the one before it, cannot be written. `wait` and `close` raise it too.
        """
        step = int(jnp.max(state.step))
        if step in self.steps():
            return
        # Training donates the state to its next dispatch, so that only a copy can be written in the background.
        # Arrays of NumPy are not donated.
        copied = jax.tree.map(_copy, stored.to_arrays(state))
        self._scores[step] = self._policy.score(metrics)
        with self._as_run_failed():
            self._manager.save(step, args=_items(copied, self._scores[step], notes))

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether these metrics are better than those of every checkpoint that exists."""
        return self._policy.is_best(metrics, self._present_scores())

    def best_step(self) -> int | None:
        """Return the step of the best checkpoint; None without scores."""
        return self._policy.best(self._present_scores())

    def _present_scores(self):
        """Return {step: score or None} of the checkpoints that exist."""
        return {step: self._scores.get(step) for step in self.steps()}

    @functools.cached_property
    def _scores(self) -> dict[int, float | None]:
        """Read {step: score} of the checkpoints that exist; `save` adds to it."""
        scores = {}
        for step in self.steps():
            # A damaged checkpoint has no score. `restore` reports it.
            with contextlib.suppress(Exception):
                scores[step] = self._record(step)["score"]
        return scores

    def notes(self, step: int) -> Any:
        """Return the notes that were saved with the checkpoint of this step, or None."""
        return self._record(step).get("notes")

    def _record(self, step):
        """Read the record of a checkpoint; see `_items`."""
        from orbax.checkpoint import args

        return self._manager.restore(step, args=args.Composite(record=args.JsonRestore()))["record"]

    def steps(self) -> list[int]:
        """Return the step numbers of the checkpoints that exist, in order."""
        return sorted(self._manager.all_steps()) if self._directory.is_dir() else []

    def restore(self, like: TrainState, which: str | int = "newest") -> TrainState | None:
        """Read a checkpoint.

        If the newest checkpoint is damaged, it is moved to the folder "damaged" with a warning, and the one before it
        is read.

        Args:
          like: a state, or its shapes, of the run's model.
          which: "newest", "best", or a step number.

        Returns:
          The state; None if the newest is wanted and there are no checkpoints.

        Raises:
          UserError: if the checkpoint does not exist, if it is of another model, or, unless the newest is wanted, if it
            is damaged.
        """
        if which == "newest":
            return self._restore_newest(like)
        step = self._find(which)
        self._refuse_another_model(step, like)
        try:
            return self._read(step, like)
        except Exception as error:
            path, why = self._path(step), errors.first_line(error)
            raise UserError(f"checkpoint {path} is damaged ({why})\ntry --checkpoint=newest") from None

    def _restore_newest(self, like: TrainState) -> TrainState | None:
        """Read the newest checkpoint that is not damaged, and set those aside that are."""
        for step in reversed(self.steps()):
            self._refuse_another_model(step, like)
            try:
                return self._read(step, like)
            except Exception as error:  # the readers raise many types of errors for damaged files
                self._set_aside(step, error)
        return None

    def _find(self, which: str | int) -> int:
        """Return the step of an existing checkpoint, "best" or a step number, or raise UserError."""
        step, steps = None, self.steps()
        if which == "best":
            step = self.best_step()
        elif str(which).isdecimal():
            step = int(which)
        if step is None or step not in steps:
            exists = ", ".join(map(str, steps)) or "none"
            raise UserError(f"no checkpoint {which!r} in {self._directory}\nwhat exists: {exists}")
        return step

    def _read(self, step: int, like: TrainState) -> TrainState:
        """Read a checkpoint onto the devices; if it is damaged, raise an error of any type."""
        from orbax.checkpoint import args

        def target_of(leaf):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=mesh.state_sharding(leaf.shape))

        # The shardings are given, because those in the checkpoint may be of other devices.
        target = jax.tree.map(target_of, stored.to_arrays(like))
        items = args.Composite(state=args.StandardRestore(target), record=args.JsonRestore())
        read = self._manager.restore(step, args=items)
        if stored.checksum(read["state"]) != read["record"]["crc32"]:
            raise ValueError("the checksum of its arrays is wrong")
        arrays = jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), read["state"], target)
        return stored.from_arrays(arrays)

    def _refuse_another_model(self, step: int, like: TrainState) -> None:
        """Raise UserError if the arrays have other names or shapes than those of `like`."""
        # Checked before reading: the errors of Orbax are long, and differ between the processes of a run.
        import orbax.checkpoint as ocp

        found = {}
        with contextlib.suppress(Exception), ocp.StandardCheckpointer() as reader:
            found = reader.metadata(self._path(step) / "state").item_metadata.tree
        if not found:
            return
        # A difference in the parameters explains more than one in the moments of the optimiser, which come first.
        difference = errors.first_difference(found.get("params"), like.params)
        difference = difference or errors.first_difference(found, stored.to_arrays(like))
        if difference:
            raise UserError(f"checkpoint {self._path(step)} is of another model\n{difference}")

    def _set_aside(self, step: int, error: Exception) -> None:
        """Warn of a damaged checkpoint, and unless read-only, move it to the folder "damaged"."""
        path = self._path(step)
        warning = f"warning: checkpoint {path} is damaged ({errors.first_line(error)})"
        if self._read_only:
            return self._warn(f"{warning}; trying the one before it, if there is one")
        target = self._directory / _DAMAGED / path.name
        # Orbax's manager remembers which checkpoints exist. The next use makes a new one.
        self.close()
        if processes.leads():
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)
        self._warn(f"{warning}; moved to {target}")

    def _path(self, step: int) -> pathlib.Path:
        return self._directory / _name(step)

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is complete."""
        with self._as_run_failed():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish writing and close Orbax's manager; any later use opens it again."""
        # Looked up in vars(), because the attribute itself would make a manager.
        if "_manager" in vars(self):
            with self._as_run_failed():
                vars(self).pop("_manager").close()

    @contextlib.contextmanager
    def _as_run_failed(self):
        """Turn the errors of a full disk, within a `with` statement, into RunFailed."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:  # the types that Orbax raises when the disk is full
            why = str(error).rpartition('": ')[2]  # without the list of files before it
            raise RunFailed(
                f"no checkpoint can be written in {self._directory}: {why}\n"
                "make room and run the same command again: it goes on from the last checkpoint there"
            ) from None


def _copy(leaf):
    return leaf if isinstance(leaf, np.ndarray) else jnp.copy(leaf)


def write(directory: pathlib.Path, state: TrainState, score: float | None) -> None:
    """Write one checkpoint into a directory that has none yet; `Checkpoints` can then read it.

    This takes half the time of `Checkpoints.save`, because it neither looks for other checkpoints nor copies the state.

    Args:
      directory: the directory of a run's checkpoints.
      state: the state.
      score: the value of the criterion, or None.
    """
    plain = jax.tree.map(np.asarray, stored.to_arrays(state))
    _writer().save(pathlib.Path(directory).absolute() / _name(int(state.step)), args=_items(plain, score))


@functools.cache
def _writer():
    """Make Orbax's writer, once for all checkpoints that `write` writes."""
    import orbax.checkpoint as ocp

    return ocp.Checkpointer(ocp.CompositeCheckpointHandler())


def _items(plain: dict[str, Any], score: float | None, notes: Any = None) -> Any:
    """Return the items of a checkpoint: the state, and a record with checksum, score and notes."""
    from orbax.checkpoint import args

    record = {"crc32": stored.checksum(plain), "score": score}
    if notes is not None:
        record["notes"] = notes
    return args.Composite(state=args.StandardSave(plain), record=args.JsonSave(record))


def _name(step: int) -> str:
    """Return the name of a checkpoint's folder, as Orbax's manager forms it."""
    return f"{step:0{_DIGITS}d}"
