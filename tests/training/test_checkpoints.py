"""Checkpoints: the newest and the best are kept, what is read is what was written, what is damaged is set aside."""

import gc
import json
import math
import re
import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.training.checkpoints import Checkpoints
from ae_jax.training.step import TrainState


def as_bytes(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def state_at(step):
    values = jnp.arange(5000, dtype=jnp.float32) * step
    opt_state = (jnp.int32(step), {"w": -values})
    return TrainState(jnp.int32(step), {"w": values}, None, {}, opt_state, jax.random.key(step), jnp.int32(0))


def flip_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES = {
    "flipped": flip_a_byte,
    "truncated": halve,
    "emptied": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
}


# A failed read of Orbax leaves others behind that find their event loop closed; scripts keep that off the screen.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", ["state/d/*", "state/_METADATA", "state/manifest.ocdbt", "record/metadata", "**/*"])
def test_whatever_is_damaged_the_one_before_is_read(tmp_path, pattern, damage):
    checkpoints = Checkpoints(tmp_path, keep=2, criterion="elbo")
    for step in (1, 2):
        checkpoints.save(state_at(step), {"elbo": float(step)})
    checkpoints.close()
    files = [file for file in (tmp_path / "000000002").glob(pattern) if file.is_file()]
    assert files
    for file in files:
        DAMAGES[damage](file)
    warned = []
    reader = Checkpoints(tmp_path, keep=2, criterion="elbo", warn=warned.append, read_only=True)
    assert int(reader.restore(state_at(0)).step) == 1
    assert (tmp_path / "000000002").is_dir()  # who only reads moves nothing
    with pytest.raises(UserError, match="is damaged"):
        reader.restore(state_at(0), 2)
    checkpoints = Checkpoints(tmp_path, keep=2, criterion="elbo", warn=warned.append)
    restored = checkpoints.restore(state_at(0))
    assert jax.tree.map(as_bytes, restored) == jax.tree.map(as_bytes, state_at(1))
    assert len(warned) == 2 and all(str(tmp_path / "000000002") in line for line in warned)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000001", "damaged"]
    checkpoints.save(state_at(2), {"elbo": 2.0})
    checkpoints.wait()
    assert (checkpoints.steps(), checkpoints.best_step()) == ([1, 2], 2)
    checkpoints.close()


def test_what_was_being_written_is_no_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2):
        checkpoints.save(state_at(step))
    checkpoints.close()
    (tmp_path / "000000002").rename(tmp_path / "000000002.orbax-checkpoint-tmp")
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert int(checkpoints.restore(state_at(0)).step) == 1
    checkpoints.save(state_at(2))
    checkpoints.wait()
    assert checkpoints.steps() == [1, 2]
    checkpoints.close()


@settings(max_examples=5)
@given(
    scores=st.lists(st.none() | st.integers(-3, 3), min_size=1, max_size=6),
    keep=st.integers(1, 2),
    direction=st.sampled_from(["max", "min"]),
    reopened=st.integers(0, 6),
)
def test_the_newest_and_the_best_are_kept(tmp_path_factory, scores, keep, direction, reopened):
    """Also by a process that takes over: the scores are on disk."""
    folder = tmp_path_factory.mktemp("kept") / "checkpoints"
    open_again = lambda: Checkpoints(folder, keep, "elbo", direction)
    checkpoints, best = open_again(), None
    for step, score in enumerate(scores, start=1):
        if step == reopened:
            checkpoints.close()
            checkpoints = open_again()
        metrics = {} if score is None else {"elbo": float(score)}
        beats = best is None or (score or 0) * (1 if direction == "max" else -1) > best[0]
        assert checkpoints.is_best(metrics) == (score is not None and beats)
        if score is not None and beats:
            best = (score * (1 if direction == "max" else -1), step)
        checkpoints.save(state_at(step), metrics)
    checkpoints.wait()
    newest = list(range(1, len(scores) + 1))[-keep:]
    assert checkpoints.steps() == sorted({*newest, *([best[1]] if best else [])})
    assert checkpoints.best_step() == (best[1] if best else None)
    checkpoints.close()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{step:09d}" for step in checkpoints.steps()]
    checkpoints.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_told_in_two_lines(tmp_path, capfd):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.steps()
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(RunFailed, match="no checkpoint can be written in .*: .*File too large.*\n.* goes on"):
            checkpoints.save(state_at(1))
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capfd.readouterr().err == ""
    gc.collect()  # of Orbax's unfinished writes, before another test is blamed for them


@pytest.mark.parametrize("which", ["best", "7", 7, "first", "²"])
def test_a_checkpoint_that_does_not_exist_is_refused_with_those_that_do(tmp_path, which):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.restore(state_at(0)) is None
    checkpoints.save(state_at(3))
    checkpoints.wait()
    with pytest.raises(UserError, match="what exists: 3"):
        checkpoints.restore(state_at(0), which)
    assert int(checkpoints.restore(state_at(0), "3").step) == 3
    checkpoints.close()


OTHERS = {
    "a parameter more": ({"params": {"v": jnp.zeros(2), "w": jnp.zeros(5000)}}, "v is absent there and of shape (2,)"),
    "another shape": ({"params": {"w": jnp.zeros(4)}}, "w is of shape (5000,) there and of shape (4,) here"),
    "another name of one shape": ({"params": {"v": jnp.zeros(5000)}}, "v is absent there and of shape (5000,) here"),
    "another optimizer": ({"opt_state": ({"w": jnp.zeros(5000)},)}, "opt_state/0 is of shape () there and absent"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_model_is_refused_and_left_where_it_is(other, tmp_path):
    fields, difference = OTHERS[other]
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(state_at(1))
    checkpoints.wait()
    for which in ("newest", 1):
        with pytest.raises(UserError, match=f"is of another model\n{re.escape(difference)}"):
            checkpoints.restore(state_at(1).replace(**fields), which)
    assert as_bytes(checkpoints.restore(state_at(1)).params["w"]) == as_bytes(state_at(1).params["w"])
    checkpoints.close()


def test_what_is_written_in_the_background_is_the_state_that_was_passed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    state = state_at(1)
    before = jax.tree.map(as_bytes, state)
    checkpoints.save(state)
    jax.block_until_ready(jax.jit(lambda s: s.replace(params={"w": s.params["w"] * 0}), donate_argnums=0)(state))
    assert jax.tree.map(as_bytes, checkpoints.restore(state_at(0))) == before
    checkpoints.close()


def test_the_record_of_scores_is_plain_json(tmp_path):
    checkpoints = Checkpoints(tmp_path, criterion="elbo")
    checkpoints.save(state_at(1), {"elbo": math.nan})
    checkpoints.close()
    assert json.loads((tmp_path / "000000001" / "record" / "metadata").read_text())["score"] is None
