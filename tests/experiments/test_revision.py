"""The revision of a checkout, and whether it was changed."""

import subprocess

from ae_jax.experiments import revision


def git(folder, *words):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_is_dirty_once_a_file_differs_from_its_commit(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("runs/\n")
    (tmp_path / "model.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "metrics.jsonl").touch()  # ignored
    clean = {"git": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    assert revision.of_checkout(tmp_path) == clean
    (tmp_path / "model.py").write_text("a = 2\n")
    assert revision.of_checkout(tmp_path) == clean | {"dirty": True}
    (tmp_path / "model.py").write_text("a = 1\n")
    (tmp_path / "new.py").touch()
    assert revision.of_checkout(tmp_path) == clean | {"dirty": True}
    # A package that is installed inside a checkout of something else has no revision of its own.
    assert revision.of_checkout(tmp_path / "runs") == {"git": None, "dirty": None}
