"""The command line: parse the words, run the command, and turn errors into messages.

A mistake of the user becomes a message of two lines on standard error, without a traceback.
"""

import dataclasses
import errno
import importlib
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from ae_jax.core import compat, errors, lookup
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.devices import processes, report
from ae_jax.experiments import configuration

PROCESS_FLAGS = ("coordinator", "num_processes", "process_id")
_OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)
# {error number: (exit status, remedy)} of the errors of a disk that no other part of the package has worded.
_DISK_ERRORS = {
    errno.ENAMETOOLONG: (2, "use a shorter name"),
    errno.ENOSPC: (1, "make room and run the same command again"),
    errno.EDQUOT: (1, "make room and run the same command again"),
    errno.EROFS: (1, "use a directory on a writable disk"),
    errno.EACCES: (1, "ask for permission, or use another directory"),
}
_HELP = {"--help", "-h", "--helpfull", "-help"}


@dataclasses.dataclass(frozen=True)
class Line:
    """A parsed command line.

    flags: the command's flags with their values.
    arguments: the positional arguments.
    assignments: (key, text) of each --config.KEY=TEXT.
    """

    flags: flags.FlagValues
    arguments: tuple[str, ...] = ()
    assignments: tuple[tuple[str, str], ...] = ()

    def config(self) -> Any:
        """Load the config that --config names, and apply the assignments of this line.

        Raises:
          UserError: without --config, or for an assignment that the config does not allow.
        """
        if not self.flags.config:
            raise UserError("no --config\nexpected a config file, such as --config=configs/vae.py:digits")
        # The user's own config file may import modules of the folder in which the command was started.
        sys.path.append(os.getcwd())
        loaded = configuration.load(self.flags.config)
        lengths = [key for key, text in self.assignments if key in ("train.steps", "train.epochs") and text != "None"]
        if len(set(lengths)) == 2:
            raise UserError("--config.train.steps and --config.train.epochs exclude each other\nexpected one of them")
        configuration.override_all(loaded, self.assignments)
        return loaded


def main(command: str | None = None) -> None:
    """Run a command, by default the one that the first argument names, and exit with its status."""
    arguments = sys.argv[1:]
    if command is None:
        # `scripts/train.py` and its like name their command; `ae-jax` reads the name from the command line.
        names = lookup.choices("commands")
        if not arguments or arguments[0] in _HELP:
            print(_overview(names))
            sys.exit(0 if arguments else 2)
        command, *arguments = arguments
        if command not in names:
            print(errors.unknown("command", command, names), file=sys.stderr)
            sys.exit(2)
    _mark_global_flags_as_parsed()
    try:
        status = run(command, arguments, own_process=True)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output, such as `head`, has read enough. Nothing more can be printed, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def run(command: str, arguments: Sequence[str], own_process: bool = False) -> int:
    """Run a command and return its exit status: 0 done; 1 the run failed; 2 wrong usage.

    Args:
      command: the name of a file in `ae_jax.commands.entry`.
      arguments: the words after the command's name.
      own_process: True in a process of its own: keep compiled programs on disk, and silence notes of other libraries.
    """
    entry = lookup.module("commands", command)
    flag_values = flags.FlagValues()
    try:
        entry.define_flags(flag_values)
        if named := [word.partition("=")[2] for word in arguments if word.startswith(("--help=", "-help="))]:
            from ae_jax.commands import help as texts

            print(texts.of_name(named[-1], command, entry))
            return 0
        if _HELP & set(arguments):
            from ae_jax.commands import help as texts

            print(_keys_of_config(arguments, flag_values) or texts.of_command(command, entry, flag_values))
            return 0
        line = parse(arguments, flag_values, takes_arguments=getattr(entry, "TAKES_ARGUMENTS", False))
        if own_process:
            _keep_compiled_programs()
            compat.quieten_process()
        if "coordinator" in flag_values:
            processes.join(*(flag_values[name].value for name in PROCESS_FLAGS))
            processes.check_alike(_shared_words(line))
        return _call(entry, line) or 0
    except UserError as error:
        print(_in_two_lines(error), file=sys.stderr)
        return 2
    except RunFailed as error:
        # Of several processes, only the first prints the message.
        if processes.leads():
            print(_in_two_lines(error), file=sys.stderr)
        return 1
    except MemoryError as error:
        what = errors.first_line(error)
        print(f"out of memory: {what}\nuse fewer or smaller examples (--limit, --batch_size)", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        place = error.filename if error.filename is not None else "the disk"
        status, remedy = _DISK_ERRORS[error.errno]
        print(f"{str(place)[:200]!r}: {error.strerror}\n{remedy}", file=sys.stderr)
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1


def _in_two_lines(error: Exception) -> str:
    """Return an error's message with everything but its last line break written as an escape.

    The message may repeat what the user typed or a stranger wrote, with line breaks and controls of the terminal in it.
    """
    *said, remedy = str(error).strip().split("\n")
    lines = ["\\n".join(said), remedy] if said else [remedy]
    return "\n".join("".join(map(_printable, line)) for line in lines)


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def parse(arguments: Sequence[str], flag_values: flags.FlagValues, takes_arguments: bool = False) -> Line:
    """Parse the words of a command line.

    Args:
      arguments: the words after the command's name.
      flag_values: the command's flags, which receive their values.
      takes_arguments: True if the command accepts words that are not flags.

    Raises:
      UserError: for an unknown flag, a missing required flag, or a word that is not allowed.
    """
    matches = [_OVERRIDE.fullmatch(text) if "config" in flag_values else None for text in arguments]
    # absl must not see --config.KEY=VALUE: it would refuse a flag that nobody defined.
    words = [text for text, match in zip(arguments, matches, strict=True) if match is None]
    try:
        positional = flag_values(["ae-jax", *words])[1:]
    except flags.UnrecognizedFlagError as error:
        near = errors.nearest(error.flagname, flag_values)
        raise UserError(f"unknown flag --{error.flagname}{near}\nsee --help") from None
    except flags.Error as error:
        # absl reports a missing flag only in the text of its error.
        if missing := re.search(r"Flag --(\w+) must have a value other than None", str(error)):
            raise UserError(f"no --{missing[1]}\nexpected {flag_values[missing[1]].help}") from None
        raise UserError(f"{str(error).strip().splitlines()[-1]}\nsee --help") from None
    if positional and not takes_arguments:
        raise UserError(f"unexpected argument {positional[0]!r}\nsee --help; options are written --NAME=VALUE")
    assignments = []
    for match in filter(None, matches):
        if match[2] is None:
            raise UserError(f"{match[0]!r} has no value\nexpected --config.KEY=VALUE")
        assignments.append((match[1], match[2]))
    return Line(flag_values, tuple(positional), tuple(assignments))


def paths(parts: Sequence[str]) -> list[str]:
    """Join the parts of a path that a list flag has split at commas.

    Args:
      parts: the parts of a text between commas.

    Returns:
      The paths. The names of a sweep's runs contain commas: parts that name something on disk only together are one
      path.
    """
    found, rest = [], list(parts)
    while rest:
        # Try the longest candidate first, so that a run's name is preferred to a beginning of it.
        together = (n for n in range(len(rest), 1, -1) if os.path.exists(",".join(rest[:n])))
        count = next(together, 1)
        found.append(",".join(rest[:count]))
        rest = rest[count:]
    return found


def _call(entry: Any, line: Line) -> int | None:
    """Call the `main` function of a command.

    Raises:
      UserError: if JAX cannot reach its devices, in place of the error that this caused.
    """
    try:
        return entry.main(line)
    except (RuntimeError, AssertionError):
        report.check_reached()
        raise


def _shared_words(line: Line) -> dict[str, str]:
    """Return {flag: text} of the words on this line that all processes of a run must share."""
    words = {}
    for name in line.flags:
        if line.flags[name].present:
            value = line.flags[name].value
            words[f"--{name}"] = ",".join(value) if isinstance(value, list) else str(value)
    words |= {f"--config.{key}": text for key, text in line.assignments}
    # Each process has its own number, and each host may keep data in another folder.
    for name in (*PROCESS_FLAGS, "data"):
        words.pop(f"--{name}", None)
    for key in configuration.PLACES:
        words.pop(f"--config.{key}", None)
    return words


def _keys_of_config(arguments: Sequence[str], flag_values: flags.FlagValues) -> str:
    """Describe the keys of the config that stands beside --help.

    Returns:
      The help text, or the empty string if the command line names no config.
    """
    named = [word for word in arguments if re.match(r"--?config=.", word)]
    if not named or "config" not in flag_values:
        return ""
    from ae_jax.experiments import reference

    loaded = configuration.load(named[-1].partition("=")[2])
    matches = filter(None, map(_OVERRIDE.fullmatch, arguments))
    configuration.override_all(loaded, [(match[1], match[2] or "") for match in matches])
    return f"The keys of {named[-1]}. Change one by --config.KEY=VALUE, and remove one by --config.KEY=None.\n\n" + (
        reference.describe(loaded)
    )


def _overview(names: Sequence[str]) -> str:
    """List the commands, each with the first line of its module's docstring."""
    lines = ["ae-jax COMMAND --help lists the flags of a command. The commands:", ""]
    for name in names:
        module = importlib.import_module(f"{lookup.package('commands')}.{name}")
        lines.append(f"  {name:10} {str(module.__doc__).splitlines()[0]}")
    return "\n".join(lines)


def _mark_global_flags_as_parsed() -> None:
    # Libraries read absl's own flags, such as --verbosity, which this command line does not have.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def _keep_compiled_programs() -> None:
    """Keep compiled programs on disk, so that the next command need not compile them.

    The folder is $JAX_COMPILATION_CACHE_DIR, or else one in the user's cache folder.
    """
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(home) / "ae_jax" / "xla"))
    # JAX keeps only programs that took a second to compile; many small ones add up.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
