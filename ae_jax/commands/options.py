"""Flags that commands share, and flags made from signatures of metrics, figures and tasks."""

from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from absl.flags import FlagValues

from ae_jax.commands import cli, signatures
from ae_jax.commands.signatures import Signature
from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError

RUN_FLAGS = ("workdir", "checkpoint", "params", "seed", "split", "batch_size", "limit", "data", "trust")


def define_run_flags(into: FlagValues) -> None:
    """Define the flags that evaluate, plot and apply share."""
    flags.DEFINE_string("workdir", None, "the run directory", required=True, flag_values=into)
    flags.DEFINE_string("checkpoint", "newest", "newest, best, or a step number", flag_values=into)
    text = "EMA or raw weights (default: EMA if the run kept one)"
    flags.DEFINE_enum("params", None, ["ema", "raw"], text, flag_values=into)
    flags.DEFINE_integer("seed", 0, "seed of everything drawn here", flag_values=into)
    text = "train, validation, test or all (default: test; of --data=SOURCE:PATH all)"
    flags.DEFINE_string("split", None, text, flag_values=into)
    flags.DEFINE_integer("batch_size", 500, "examples per device call", lower_bound=1, flag_values=into)
    flags.DEFINE_integer("limit", None, "use N examples only", lower_bound=1, flag_values=into)
    flags.DEFINE_string("data", "", "other data: NAME, or SOURCE:PATH", flag_values=into)
    define_trust_flag(into)


def run_options(given: FlagValues) -> dict[str, object]:
    """Return the values of `define_run_flags`, by name."""
    return {name: given[name].value for name in RUN_FLAGS}


def define_trust_flag(into: FlagValues) -> None:
    """Define the flag of every command that opens runs."""
    text = "modules that the stored config of an opened run may name; their code then runs here"
    flags.DEFINE_list("trust", [], text, flag_values=into)


def define_output_flag(into: FlagValues, text: str) -> None:
    """Define the flag that names another folder for what a command writes into a run directory."""
    flags.DEFINE_string("output", "", text, flag_values=into)


def define_process_flags(into: FlagValues) -> None:
    """Define the flags by which several processes meet before a command begins."""
    text = "HOST:PORT of process 0, where several processes compute together"
    flags.DEFINE_string("coordinator", None, text, flag_values=into)
    flags.DEFINE_integer("num_processes", None, "how many processes there are", lower_bound=1, flag_values=into)
    text = "the number of this process, from 0"
    flags.DEFINE_integer("process_id", None, text, lower_bound=0, flag_values=into)


def define_profile_flag(into: FlagValues) -> None:
    """Define the flag that asks for a trace of what the devices do."""
    text = "trace a window of steps, or the evaluation, into profile/, for JAX's profiler"
    flags.DEFINE_bool("profile", False, text, flag_values=into)


def check_names(kinds: Sequence[str], names: Sequence[str]) -> None:
    """Check, before JAX is imported, that each name is one of some kinds.

    Raises:
      UserError: none of the kinds has a name; the message lists the names of all kinds.
    """
    known = [name for kind in kinds for name in lookup.choices(kind)]
    for name in names:
        if name not in known:
            raise errors.unknown(lookup.word(kinds[0]), name, known)


def define_option_flags(into: FlagValues, kind: str, attribute: str) -> None:
    """Define a flag --NAME_KEYWORD for every keyword-only argument of every module of a kind.

    Args:
      into: where the flags are defined.
      kind: a key of `lookup.REGISTRIES`, such as "metrics".
      attribute: the function of each module that has the arguments, such as "evaluate".
    """
    for name in lookup.choices(kind):
        signature = signatures.read(kind, name, attribute)
        for keyword, default in signature.keywords.items():
            _define(into, f"{name}_{keyword}", default, _help(kind, [name], signature, keyword))


def options(given: FlagValues, kind: str, attribute: str, asked: Sequence[str]) -> dict[str, object]:
    """Return {NAME_KEYWORD: value} of the flags of `define_option_flags` that were given.

    Args:
      given: the parsed flags.
      kind: as for `define_option_flags`.
      attribute: as for `define_option_flags`.
      asked: the names whose options may be given.

    Raises:
      UserError: for an option of a name that is not asked for.
    """
    found = {}
    for name in lookup.choices(kind):
        for keyword, default in signatures.read(kind, name, attribute).keywords.items():
            if not given[flag := f"{name}_{keyword}"].present:
                continue
            if name not in asked:
                word = lookup.word(kind)
                raise UserError(
                    f"--{flag} is an option of {word} {name!r}, which --{kind} does not list\n"
                    f"use --{kind}={','.join([*asked, name])}"
                )
            value = given[flag].value
            found[flag] = _parts(flag, value or [], default) if isinstance(default, tuple) else value
    return found


def define_shared_flags(into: FlagValues, kind: str, attribute: str) -> None:
    """Define a flag --KEYWORD for every keyword-only argument of the modules of a kind.

    Args: as for `define_option_flags`.
    """
    readers: dict[str, tuple[Any, Signature, list[str]]] = {}
    for name in lookup.choices(kind):
        signature = signatures.read(kind, name, attribute)
        for keyword, default in signature.keywords.items():
            readers.setdefault(keyword, (default, signature, []))[-1].append(name)
    for keyword, (default, signature, names) in readers.items():
        if keyword not in into:
            _define(into, keyword, default, _help(kind, names, signature, keyword))


def shared_options(given: FlagValues, kind: str, attribute: str, name: str) -> dict[str, object]:
    """Return {KEYWORD: value} of the flags of `define_shared_flags` that were given.

    Raises UserError for a keyword that `name` does not read, and another module of the kind does.
    """
    names = lookup.choices(kind)
    if name not in names:
        raise errors.unknown(lookup.word(kind), name, names)
    mine = signatures.read(kind, name, attribute).keywords
    others = {key for other in names for key in signatures.read(kind, other, attribute).keywords}
    for key in sorted(others - mine.keys()):
        if given[key].present:
            raise UserError(
                f"--{key} is an option of other {kind}, not of {name!r}\noptions of {name!r}: {', '.join(sorted(mine))}"
            )
    return {key: given[key].value for key in mine if key in given and given[key].present}


def _define(into: FlagValues, name: str, default: object, help_text: str) -> None:
    kinds: dict[type, Callable] = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    if isinstance(default, tuple):
        flags.DEFINE_list(name, list(map(str, default)), help_text, flag_values=into)
    else:
        kinds.get(type(default), flags.DEFINE_string)(name, default, help_text, flag_values=into)


def _parts(flag: str, value: Sequence[str], default: tuple) -> Sequence[object]:
    """Return the parts of a list as numbers or paths, like its default. Raise UserError."""
    if not (default and isinstance(default[0], float)):
        return cli.paths(value)
    try:
        return [float(part) for part in value]
    except ValueError:
        such = ",".join(map(str, default))
        raise UserError(f"--{flag} is {','.join(value)!r}\nexpected numbers, such as {such}") from None


def _help(kind: str, names: Sequence[str], signature: Signature, keyword: str) -> str:
    of = f"{lookup.word(kind)}{'s' * (len(names) > 1)} {', '.join(names)}"
    return f"{of}: {signature.help_of(keyword)}"
