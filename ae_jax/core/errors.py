"""The mistakes a user can make, said in one or two lines: what was expected, what came, what would work."""

import difflib
import functools
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any


class UserError(ValueError):
    """A mistake of the caller's. Scripts print it on standard error, without a traceback, and exit with status 2."""


class RunFailed(RuntimeError):
    """A run did not reach its end; the message says where it stands. Scripts exit with status 1."""


# What NumPy raises of a file that is none of its own, or is damaged.
DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)


def first_line(error: BaseException) -> str:
    """What an error says, cut to one line; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def nearest(name: str, choices: Iterable[str]) -> str:
    """`"; did you mean 'adam'?"` for the valid name nearest to `name`, or the empty string where none is near."""
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def unknown(what: str, name: str, choices: Iterable[str]) -> UserError:
    """The error for a `name` that is not among the `choices` of a kind (`what`)."""
    choices = sorted(choices)
    return UserError(f"unknown {what} {name!r}{nearest(name, choices)}\nwhat exists: {', '.join(choices) or 'nothing'}")


def first_difference(there: Any, here: Any) -> str:
    """The first leaf whose name or shape differs in two trees, for an error message; empty where there is none.

    A place in a list and a key are one name: what Orbax says of a tuple or of a struct is a list or a dict.
    """
    import jax

    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    leaves = jax.tree_util.tree_leaves_with_path
    there, here = ({name(path): tuple(leaf.shape) for path, leaf in leaves(tree)} for tree in (there, here))
    differing = min((key for key in there.keys() | here.keys() if there.get(key) != here.get(key)), default=None)
    tells = lambda shapes: f"of shape {shapes[differing]}" if differing in shapes else "absent"
    return f"{differing} is {tells(there)} there and {tells(here)} here" if differing else ""
