"""Locks: one writer for a directory, and what a dead writer leaves does not stop the next one."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from ae_jax.core import files
from ae_jax.core.errors import UserError
from ae_jax.experiments import locks, rundir

HOLD = """
import sys, time
from ae_jax.experiments import locks
with locks.held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_dies(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError) as caught, locks.held(folder):
            pass
        holder.kill()
    message = str(caught.value)
    assert str(holder.pid) in message and socket.gethostname() in message and "--workdir" in message
    assert len(message.splitlines()) == 2
    assert json.loads((folder / "lock").read_text())["pid"] == holder.pid
    (folder / f".config.json.{'0' * 16}.tmp").touch()
    (folder / ".mine.tmp").touch()
    with locks.held(folder):
        assert json.loads((folder / "lock").read_text())["pid"] == os.getpid()
    assert [path.name for path in folder.iterdir()] == [".mine.tmp"]


@pytest.mark.parametrize(
    ("machine", "host", "age", "lives"),
    [("other", "other", 0, True), ("other", "other", 3600, False), ("other", "", 10**9, False)],
)
def test_a_lock_of_another_machine_holds_while_it_is_touched(tmp_path, machine, host, age, lives):
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": host or socket.gethostname(), "pid": 1, "time": "then", "machine": machine}))
    os.utime(path, (time.time() - age,) * 2)
    if lives:
        with pytest.raises(UserError, match=f"process 1 on 'other'.*\n.*delete {path}"), locks.held(tmp_path):
            pass
    else:
        with locks.held(tmp_path):
            assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("started, lives", [(locks._started(os.getppid()), True), ("another", False)])
def test_without_locks_of_the_kernel_the_process_is_looked_for(tmp_path, monkeypatch, started, lives):
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError("no locks")))
    holder = {"host": "here", "pid": os.getppid(), "time": "", "machine": locks._machine(), "started": started}
    (tmp_path / "lock").write_text(json.dumps(holder))
    if lives:
        with pytest.raises(UserError, match=str(os.getppid())), locks.held(tmp_path):
            pass
    else:
        with locks.held(tmp_path):
            pass


def test_a_directory_that_nothing_was_written_into_is_removed_again(tmp_path):
    with pytest.raises(UserError, match="refused"), locks.held(tmp_path / "a" / "b"):
        raise UserError("refused")
    assert not list(tmp_path.iterdir())


def test_writes_do_not_follow_links(tmp_path):
    precious, folder = tmp_path / "precious", tmp_path / "run"
    precious.write_text("mine")
    folder.mkdir()
    for name in ("config.json", ".config.json.tmp", "metrics.jsonl", "lock"):
        (folder / name).symlink_to(precious)
    rundir.write_json(folder / "config.json", {"a": 1})
    assert not (folder / "config.json").is_symlink()
    with pytest.raises(OSError, match="is a link"):
        rundir.append_line(folder / "metrics.jsonl", {"step": 1})
    with pytest.raises(UserError), locks.held(folder):
        pass
    assert precious.read_text() == "mine"


def test_a_run_directory_may_be_a_link_to_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with locks.held(tmp_path / "run"):
        rundir.append_line(tmp_path / "run" / "metrics.jsonl", {"step": 1})
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["metrics.jsonl"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_write(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_damaged_lines_are_left_out_and_counted(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    good = b'{"step": 1, "split": "train", "loss": 2.0}\n'
    path.write_bytes(b"\xff\xfe\n" + good + b'[1]\n{"step": "x"}\n' + good + b'{"step": 2, "spl')
    assert [line["step"] for line in rundir.read_lines(path)] == [1, 1]
    assert "3 damaged lines" in capsys.readouterr().err
