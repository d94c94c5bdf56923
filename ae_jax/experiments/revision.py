"""The revision of the checkout that runs, for a run's versions.json."""

import pathlib
import subprocess
from typing import Any


def of_checkout(root: pathlib.Path) -> dict[str, Any]:
    """Return {"git": commit, "dirty": whether files differ from it} of a checkout.

    Both are None where `root` is not the top of a checkout: an installed package may lie inside a checkout of something
    else.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if not top or not commit or pathlib.Path(top).resolve() != root.resolve():
        return {"git": None, "dirty": None}
    # Untracked files count: a new model's file decides a result too. Ignored files, such as runs, do not count.
    return {"git": commit, "dirty": bool(_git(root, "status", "--porcelain"))}


def _git(root: pathlib.Path, *words: str) -> str:
    """Return what git prints; the empty string where it fails, or is not installed."""
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
