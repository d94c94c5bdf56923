"""The help of commands: flags in sections, and a line for each metric, figure or task."""

import re
import textwrap
from types import ModuleType

from absl import flags

from ae_jax.commands import options, signatures
from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError

# {title of a section of the help: flags that several commands share}. A command's own flags stand before these.
_SHARED = {
    "The run and its data": tuple(name for name in options.RUN_FLAGS if name != "workdir"),
    "Several processes": ("coordinator", "num_processes", "process_id", "profile"),
}


def of_command(command: str, entry: ModuleType, values: flags.FlagValues) -> str:
    """Return the help of a command: its docstring, flags in sections, and names that it takes.

    Args:
      command: its name.
      entry: its module.
      values: its flags.
    """
    parts = [str(entry.__doc__).strip()]
    for title, section in sections(entry, values).items():
        parts += ["", f"{title}:", *map(_line_of_flag, section)]
    for kind, function in names_of(entry).items():
        plural = kind.replace("_", " ")
        parts += ["", f"{plural.capitalize()} (ae-jax {command} --help=NAME explains one, with its options):"]
        names = lookup.choices(kind, function)
        width = max(map(len, names))
        parts += [_wrapped(f"{name:{width}}  {signatures.summary(kind, name)}", width + 4) for name in names]
    return "\n".join(parts)


def of_name(name: str, command: str, entry: ModuleType) -> str:
    """Return the help of one metric, figure, task or engine that a command takes.

    Args:
      name: its name.
      command: the name of the command.
      entry: the module of the command.

    Raises:
      UserError: the command takes no such name.
    """
    kinds = names_of(entry)
    if not kinds:
        raise UserError(f"--help={name}: {command} takes no names\nuse ae-jax {command} --help")
    for kind, function in kinds.items():
        if name in lookup.choices(kind, function):
            return _described(kind, name, signatures.read(kind, name, function), prefixed=not _is_shared(kind))
    words = " or ".join(lookup.word(kind) for kind in kinds)
    raise errors.unknown(
        words, name, [name for kind, function in kinds.items() for name in lookup.choices(kind, function)]
    )


def names_of(entry: ModuleType) -> dict[str, str]:
    """Return {kind: function} of the names that a command takes."""
    return getattr(entry, "NAMES", {})


def sections(entry: ModuleType, values: flags.FlagValues) -> dict[str, list[flags.Flag]]:
    """Return {title: flags} of a command, without the options of single metrics and figures."""
    hidden = {
        f"{name}_{keyword}"
        for kind, function in names_of(entry).items()
        if not _is_shared(kind)
        for name in lookup.choices(kind, function)
        for keyword in signatures.read(kind, name, function).keywords
    }
    titles = {flag: title for title, names in _SHARED.items() for flag in names}
    for kind, function in names_of(entry).items():
        for name in lookup.choices(kind, function) if _is_shared(kind) else ():
            for keyword in signatures.read(kind, name, function).keywords:
                titles.setdefault(keyword, f"Options of {kind}")
    found: dict[str, list[flags.Flag]] = {"Flags": []}
    for flag in sorted(set(values) - hidden):
        found.setdefault(titles.get(flag, "Flags"), []).append(values[flag])
    order = ["Flags", *(title for title in found if title.startswith("Options of")), *_SHARED]
    return {title: found[title] for title in order if found.get(title)}


def _is_shared(kind: str) -> bool:
    """Return whether the options of a kind are flags --KEYWORD, and not --NAME_KEYWORD."""
    return kind in ("tasks", "engines")


def _described(kind: str, name: str, signature: signatures.Signature, prefixed: bool) -> str:
    """Return the docstrings of a function without its arguments, and its options."""
    text = re.sub(r"\n*^Args:\n(?:[ \t]+.*\n?|\n(?=[ \t]))*", "\n\n", signature.text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    parts = [f"{lookup.word(kind).capitalize()} {name}: {signature.file_text}", "", text]
    if signature.keywords:
        parts += ["", "Options:"]
    for keyword, default in signature.keywords.items():
        flag = f"{name}_{keyword}" if prefixed else keyword
        said = "" if default in ("", (), None, False) else f" (default: {_as_typed(default)})"
        parts.append(_wrapped(f"--{flag}: {signature.help_of(keyword)}{said}", 6))
    return "\n".join(parts)


def _as_typed(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _line_of_flag(flag: flags.Flag) -> str:
    default = (flag.default_as_str or "").strip("'")
    said = "" if default in ("", "[]", "false") else f" (default: {default})"
    return _wrapped(f"--{flag.name}: {' '.join(flag.help.split())}{said}", 6)


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(text, 120, initial_indent="  ", subsequent_indent=" " * indent, break_on_hyphens=False)
