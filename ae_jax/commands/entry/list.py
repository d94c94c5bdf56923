"""List models, configs, metrics, figures, objectives, keys and more, one line each.

ae-jax list models
ae-jax list configs
ae-jax list metrics psnr          (only those whose name or description contains a text)
ae-jax list keys learning_rate    (keys of configs, with type, default, meaning and readers)
"""

import textwrap

from absl import flags

from ae_jax.core import errors
from ae_jax.core.errors import UserError

TAKES_ARGUMENTS = True
WHAT = (
    "models", "configs", "metrics", "figures", "objectives", "corruptions", "likelihoods", "posteriors", "priors",
    "quantizers", "samplers", "tasks", "data", "keys",
)  # fmt: skip


def define_flags(into: flags.FlagValues) -> None:
    """Define the flags of `list`, which has none."""


def main(line):
    """Print what is asked for; exit status 1 if nothing contains the text."""
    if not line.arguments:
        raise UserError(f"list needs to know what\nuse ae-jax list with one of: {', '.join(WHAT)}")
    what, *texts = line.arguments
    if what not in WHAT:
        raise errors.unknown("word for ae-jax list", what, WHAT)
    if len(texts) > 1:
        raise UserError(f"unexpected argument {texts[1]!r}\nexpected at most one text to look for")
    lines = _keys(*texts) if what == "keys" else _names(what, *texts)
    if not lines:
        raise UserError(f"no {what} contain {texts[0]!r}\nae-jax list {what} prints all of them")
    print(*lines, sep="\n")


def _names(what: str, text: str = "") -> list[str]:
    """Return a line for each name of a kind that contains the text, or whose description does."""
    from ae_jax.commands import listing

    found = {name: said for name, said in listing.names(what).items() if text.lower() in f"{name} {said}".lower()}
    width = max(map(len, found), default=0)
    return [f"{name:{width}}  {said}" for name, said in found.items()]


def _keys(text: str = "") -> list[str]:
    """Return a paragraph for each key that contains the text."""
    from ae_jax.commands import keys

    lines = []
    for key in keys.matching(text):
        readers = f" Read by: {key.read_by}." if key.readers else ""
        said = f"{key.name} (default {key.default}; {key.form}): {key.meaning}.{readers}"
        lines.append(textwrap.fill(said, 120, subsequent_indent=" " * 4, break_on_hyphens=False))
    return lines
