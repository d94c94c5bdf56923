"""Run directories: refused or gone on with, whole files, and lines that a crash cannot spoil."""

import json
import math
import os
import pathlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.experiments import configuration, hooks, rundir

SPEC = DataSpec((8, 8, 1), classes=10, levels=17)


def config(*assignments):
    loaded = configuration.load("configs/vae.py:digits")
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        configuration.override(loaded, key, text)
    return loaded


def test_a_run_directory_says_what_was_trained_on_what(tmp_path):
    run = rundir.begin(str(tmp_path / "a" / "run"), config(), SPEC)
    stored, spec = run.read()
    assert stored.to_dict() == config().to_dict() and spec == SPEC
    versions = json.loads(run.versions.read_text())
    assert versions["packages"]["jax"] and versions["platform"] == "cpu" and versions["devices"] >= 1
    assert sorted(p.name for p in run.path.iterdir()) == ["config.json", "versions.json"]


def test_another_config_is_refused_with_both_values_of_each_key(tmp_path):
    rundir.begin(str(tmp_path), config(), SPEC)
    with pytest.raises(UserError) as caught:
        rundir.check_new_or_same(str(tmp_path), config("model.latent_dim=3", "seed=1", "train.steps=5000"))
    message = str(caught.value)
    assert "model.latent_dim (2 there, 3 here)" in message and "seed (0 there, 1 here)" in message
    assert "train.steps" not in message and len(message.splitlines()) <= 2


def test_the_same_run_may_grow_and_be_watched_otherwise(tmp_path):
    begun = ("optimizer.learning_rate=cosine:1e-3:0:3000",)
    rundir.begin(str(tmp_path), config(*begun), SPEC)
    assert rundir.check_new_or_same(str(tmp_path), config(*begun)) == []
    watched = rundir.check_new_or_same(str(tmp_path), config(*begun, "train.keep=5", "eval.metrics=mse"))
    assert len(watched) == 1 and "train.keep (2 there, 5 here)" in watched[0]
    grown = rundir.check_new_or_same(str(tmp_path), config(*begun, "train.steps=6000"))
    assert "train.steps (3000 there, 6000 here)" in grown[0]
    assert "optimizer.learning_rate" in grown[1]  # its horizon does not grow with the run


@pytest.mark.parametrize("content", ["", "{", "[]", '{"config": {}}', '{"config": {}, "spec": {"shape": 3}}'])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json cannot be read"):
        rundir.RunDir(tmp_path).read()


def test_a_sweeps_directory_takes_no_run(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(UserError, match="holds a sweep"):
        rundir.check_new_or_same(str(tmp_path), config())
    with pytest.raises(UserError, match="workdir is empty"):
        rundir.check_new_or_same("", config())


def test_the_time_left_may_be_days():
    assert [hooks.clock(seconds) for seconds in (59.9, 3600, 25 * 3600 + 61)] == ["00:00:59", "01:00:00", "25:01:01"]


def test_a_workdir_must_be_a_directory_that_may_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file", "file/below"):
        with pytest.raises(UserError, match="is not a directory"):
            rundir.check_new_or_same(str(tmp_path / path), config())
    closed = "/proc/no/such/run" if os.getuid() == 0 else str(tmp_path / "closed" / "run")
    (tmp_path / "closed").mkdir(mode=0o555)
    with pytest.raises(UserError, match="no permission|cannot be made"):  # only the attempt tells the superuser
        rundir.check_new_or_same(closed, config())
        rundir.begin(closed, config(), SPEC)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "config.json"
    rundir.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        rundir.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


RECORDS = st.lists(st.dictionaries(st.sampled_from(["loss", "kl"]), st.floats(allow_nan=False)), max_size=8)


@given(RECORDS, st.data())
def test_lines_survive_a_cut_at_any_byte(tmp_path_factory, records, data):
    """What is left of a file of lines are its first records, and truncated to a step it takes the rest again."""
    path = tmp_path_factory.mktemp("lines") / "lines.jsonl"
    lines = [{"step": step // 2, **record} for step, record in enumerate(records)]
    for line in lines:
        rundir.append_line(path, line)
    whole = path.read_bytes() if lines else b""
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    left = rundir.read_lines(path)
    assert left == lines[: len(left)]
    rundir.append_line(path, {"step": 0, "after": "the cut"})
    assert rundir.read_lines(path) == [*left, {"step": 0, "after": "the cut"}]
    rundir.write_text(path, rundir.as_lines(left))
    step = data.draw(st.integers(-1, 5))
    rundir.truncate_lines(path, step)
    for line in lines[len(rundir.read_lines(path)) :]:
        rundir.append_line(path, line)
    assert path.read_bytes() == whole


def test_reading_lines_of_no_file_gives_none(tmp_path):
    assert rundir.read_lines(tmp_path / "metrics.jsonl") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_said_and_not_waited_for(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    board = hooks.TensorBoard(rundir.RunDir(tmp_path), 0)
    monkeypatch.setattr(board._writer.file_writer.event_writer._ev_writer, "write_event", full)
    with pytest.raises(OSError, match="nothing can be written in .*tensorboard"):
        for step in range(100):
            board.scalars("train", step, {"loss": 1.0})
            time.sleep(0.01)
    board.close()


def test_what_is_not_finite_is_left_out_of_the_metrics(tmp_path):
    run = rundir.RunDir(pathlib.Path(tmp_path))
    hooks.record(run, 3, "train", {"loss": math.nan, "kl": math.inf, "reconstruction": 0.1})
    assert run.metrics.read_text() == '{"step": 3, "split": "train", "reconstruction": 0.1}\n'
