"""The command line: absl flags and config overrides in; results, two-line errors and exit statuses out."""

import inspect
import logging as stdlib_logging
import os
import pathlib
import re
import sys
import textwrap
from collections.abc import Callable, Sequence

from absl import flags, logging

from ae_jax.core import errors, lookup
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.devices import processes, report
from ae_jax.experiments import configuration

FLAGS = flags.FLAGS
_OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)


def run(main: Callable[[], int | None], usage: str, takes_arguments: bool = False) -> None:
    """Parses the flags, calls `main` and exits: 0 done; 1 the run failed; 2 wrong usage."""
    if {"--help", "-h", "--helpfull", "-help"} & set(sys.argv[1:]):
        own = {*FLAGS.get_key_flags_for_module(sys.argv[0]), *FLAGS.get_flags_for_module(__name__)}
        print(f"{usage.strip()}\n\nFlags:", *map(_help_of, sorted(own, key=lambda flag: flag.name)), sep="\n")
        sys.exit(0)
    sys.path.append(os.getcwd())  # where the user's own `package.module:Name` is looked for
    try:
        _parse(sys.argv, takes_arguments)
        _silence_orbax()
        _use_compilation_cache()
        if "coordinator" in FLAGS:
            processes.join(*(FLAGS[name].value for name in _PROCESS_FLAGS))
            processes.check_alike(_said())
        sys.exit(_called(main) or 0)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except RunFailed as error:
        if processes.leads():
            print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(1)


def _called(main):
    """What `main` answers. Where JAX does not reach its devices, whatever failed says so."""
    try:
        return main()
    except (RuntimeError, AssertionError):
        report.check_reached()
        raise


def _said() -> dict[str, str]:
    """{flag: text} of what was given on this command line, and must be alike in all processes of a run."""
    text = lambda value: ",".join(value) if isinstance(value, list) else str(value)
    given = {f"--{name}": text(FLAGS[name].value) for name in FLAGS if FLAGS[name].present}
    of_one = {f"--{name}" for name in (*_PROCESS_FLAGS, "data")} | {f"--config.{key}" for key in configuration.PLACES}
    said = {**given, **{f"--config.{key}": text for key, text in assignments}}
    return {name: value for name, value in said.items() if name not in of_one}


def _help_of(flag: flags.Flag) -> str:
    default = (flag.default_as_str or "").strip("'")
    said = "" if default in ("", "[]", "false") else f" (default: {default})"
    text = f"--{flag.name}: {' '.join(flag.help.split())}{said}"
    return textwrap.fill(text, 120, initial_indent="  ", subsequent_indent=" " * 6, break_on_hyphens=False)


def _silence_orbax() -> None:
    """Keeps off the screen what it says of its options, and a traceback for each read under way when another fails."""
    logging.set_verbosity(logging.ERROR)
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)
    print_other = sys.unraisablehook
    said = ("Event loop is closed", "Encountered error while reading array index")
    sys.unraisablehook = lambda it: None if str(it.exc_value).startswith(said) else print_other(it)


def _parse(argv: list[str], takes_arguments: bool) -> None:
    matches = [_OVERRIDE.fullmatch(text) if "config" in FLAGS else None for text in argv]
    rest = [text for text, match in zip(argv, matches) if match is None]
    try:
        positional = FLAGS(rest)[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"unknown flag --{error.flagname}{errors.nearest(error.flagname, FLAGS)}\nsee --help") from None
    except flags.Error as error:
        if missing := re.search(r"Flag --(\w+) must have a value other than None", str(error)):
            raise UserError(f"no --{missing[1]}\nexpected {FLAGS[missing[1]].help}") from None
        raise UserError(f"{str(error).strip().splitlines()[-1]}\nsee --help") from None
    if positional and not takes_arguments:
        raise UserError(f"unexpected argument {positional[0]!r}\nsee --help; options are written --NAME=VALUE")
    arguments[:] = positional
    for match in filter(None, matches):
        if match[2] is None:
            raise UserError(f"{match[0]!r} has no value\nexpected --config.KEY=VALUE")
        assignments.append((match[1], match[2]))


arguments: list[str] = []  # positional arguments of this command
assignments: list[tuple[str, str]] = []  # its --config.KEY=VALUE


def config():
    """The config that --config names, with the command line's overrides."""
    if not FLAGS.config:
        raise UserError("no --config\nexpected a config file, such as --config=configs/vae.py:digits")
    loaded = configuration.load(FLAGS.config)
    if {"train.steps", "train.epochs"} <= dict(assignments).keys():
        raise UserError("both --config.train.steps and --config.train.epochs\nexpected one of them")
    configuration.override_all(loaded, assignments)
    return loaded


_PROCESS_FLAGS = ("coordinator", "num_processes", "process_id")


def define_process_flags() -> None:
    """The flags by which several processes meet before `main`."""
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, where several processes compute together")
    flags.DEFINE_integer("num_processes", None, "how many processes there are", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "which of them this is, from 0", lower_bound=0)


def define_profile_flag() -> None:
    """The flag that asks for a trace of what the devices do."""
    flags.DEFINE_bool("profile", False, "trace a window of steps, or the evaluation, into profile/, for JAX's profiler")


def define_run_flags() -> None:
    """The flags that evaluate, plot and apply share."""
    flags.DEFINE_string("workdir", None, "the run directory", required=True)
    flags.DEFINE_string("checkpoint", "newest", "newest, best, or a step number")
    flags.DEFINE_enum("params", None, ["ema", "raw"], "which parameters; default: the average where there is one")
    flags.DEFINE_integer("seed", 0, "seed of everything drawn here")
    flags.DEFINE_string("split", "test", "train, validation or test")
    flags.DEFINE_integer("batch_size", 500, "examples at a time", lower_bound=1)
    flags.DEFINE_integer("limit", None, "use the first N examples only", lower_bound=1)
    flags.DEFINE_string("data", "", "other data: NAME, or SOURCE:PATH")


def run_flags() -> dict[str, object]:
    """The values of `define_run_flags`, by name."""
    names = ("workdir", "checkpoint", "params", "seed", "split", "batch_size", "limit", "data")
    return {name: FLAGS[name].value for name in names}


def define_option_flags(folder: str, attribute: str) -> None:
    """A flag --NAME_KEYWORD for every keyword-only argument of `attribute` of every module in the folder."""
    for name in lookup.choices(folder):
        function = lookup.find(folder, name, attribute)
        for keyword, default in _keywords(function).items():
            _define(f"{name}_{keyword}", default, _told(folder, [name], function, keyword))


def _define(name: str, default: object, help_text: str) -> None:
    kinds = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    if isinstance(default, tuple):
        flags.DEFINE_list(name, list(map(str, default)), help_text)
    else:
        kinds.get(type(default), flags.DEFINE_string)(name, default, help_text)


def options(folder: str, attribute: str, asked: Sequence[str]) -> dict[str, object]:
    """{NAME_KEYWORD: value} of the flags of `define_option_flags` that were given.

    Raises UserError for one of a NAME that is not among those `asked` for.
    """
    given = {}
    for name in lookup.choices(folder):
        for keyword, default in _keywords(lookup.find(folder, name, attribute)).items():
            if not FLAGS[flag := f"{name}_{keyword}"].present:
                continue
            if name not in asked:
                raise UserError(f"--{flag} is of {name!r}, which is not asked for\nadd {name} to: {','.join(asked)}")
            value = FLAGS[flag].value
            given[flag] = _parts(flag, value, default) if isinstance(default, tuple) else value
    return given


def _parts(flag: str, value: Sequence[str], default: tuple) -> list[object]:
    """The parts of a list as its default has them: numbers, or else texts. Raises UserError."""
    if not (default and isinstance(default[0], float)):
        return paths(value)
    try:
        return [float(part) for part in value]
    except ValueError:
        such = ",".join(map(str, default))
        raise UserError(f"--{flag} is {','.join(value)!r}\nexpected numbers, such as {such}") from None


def paths(parts: Sequence[str]) -> list[str]:
    """The parts of a text between commas, those joined again that only together name something on disk: the names of a
    sweep's runs hold commas.
    """
    found, rest = [], list(parts)
    while rest:
        together = (n for n in range(len(rest), 1, -1) if os.path.exists(",".join(rest[:n])))
        count = next(together, 1)
        found.append(",".join(rest[:count]))
        rest = rest[count:]
    return found


def define_shared_flags(folder: str, attribute: str) -> None:
    """A flag --KEYWORD, where there is none yet, for every keyword-only argument that `attribute` of any module has."""
    readers = {}
    for name in lookup.choices(folder):
        function = lookup.find(folder, name, attribute)
        for keyword, default in _keywords(function).items():
            readers.setdefault(keyword, (default, function, []))[-1].append(name)
    for keyword, (default, function, names) in readers.items():
        if keyword not in FLAGS:
            _define(keyword, default, _told(folder, names, function, keyword))


def _told(folder: str, names: Sequence[str], function: Callable, keyword: str) -> str:
    of = f"{lookup.word(folder)}{'s' * (len(names) > 1)} {', '.join(names)}"
    return f"of {of}: {lookup.told(folder, function, keyword)}"


def shared_options(folder: str, attribute: str, name: str) -> dict[str, object]:
    """{KEYWORD: value} of the flags of `define_shared_flags` that were given.

    Raises UserError for one that `name` does not read, and another module does.
    """
    mine = _keywords(lookup.find(folder, name, attribute))
    others = {key for other in lookup.choices(folder) for key in _keywords(lookup.find(folder, other, attribute))}
    for key in sorted(others - mine.keys()):
        if FLAGS[key].present:
            raise UserError(f"--{key} is read by other {folder}, not by {name!r}\nit reads: {', '.join(sorted(mine))}")
    return {key: FLAGS[key].value for key in mine if key in FLAGS and FLAGS[key].present}


def _keywords(function: Callable) -> dict[str, object]:
    """{keyword-only argument: default}."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _use_compilation_cache() -> None:
    """Compiled programs are kept between commands, in $JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(home) / "ae_jax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
