"""From text to a config: files with arguments, `KEY=VALUE` overrides and their types, differences."""

import ast
import importlib.util
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data import sources

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# The checkout, where this is one; else the folder that the package is installed in.
ROOT = _PACKAGE.parent
# The configs stand beside the package in a checkout, and inside it where it is installed.
CONFIGS = next(folder for folder in (_PACKAGE / "configs", ROOT / "configs") if folder.is_dir())

# Their keys depend on the names chosen in them: what nothing reads is found when the experiment is built.
_OPEN = ("model", "objective", "weights", "optimizer", "corruption", "expected")
# Where the data lie for this process: no part of what is run.
PLACES = ("data.dir", "data.path", "data.cache")
# Numbers that may vary over training.
_VARYING = ("weights", "optimizer", "corruption", "objective", "model.sampling", "train.ema")


def parse_arguments(arg: str, defaults: Mapping[str, Any]) -> ConfigDict:
    """The words of `:mnist,k=5` over their defaults: a flag where the default is False, else NAME=VALUE of its type."""
    arguments = ConfigDict(dict(defaults), type_safe=False)
    for word in filter(None, (arg or "").split(",")):
        name, equals, text = word.partition("=")
        if name not in defaults:
            raise errors.unknown("config argument", name, defaults)
        default = defaults[name]
        if (default is False) == bool(equals):
            form = name if default is False else f"{name}={default}"
            raise UserError(f"config argument {word!r} has the wrong form\nexpected: {form}")
        arguments[name] = True if default is False else _typed(f"argument {name}", default, _literal(text))
    return arguments


def load(text: str) -> ConfigDict:
    """Load the config at "path/to/file.py:arguments", or "NAME:arguments" for one of the package's own.

    A relative path is looked up in the current folder, then beside the package's own configs.
    """
    name, _, arg = text.partition(":")
    config = _module(name).get_config(arg)
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config in {name!r} answered {type(config).__name__}\nexpected a ConfigDict")
    return config.lock()


def load_sweep(text: str) -> dict[str, str]:
    """{key: text of its values}: the sweep() of the config file at "path/to/file.py:arguments"; empty without one."""
    name = text.partition(":")[0]
    axes = getattr(_module(name), "sweep", dict)()
    if not isinstance(axes, Mapping) or not all(isinstance(values, str) for values in axes.values()):
        raise UserError(f"sweep in {name!r} answered {axes!r}\nexpected a dict such as {{'weights.kl': '1,2,4'}}")
    return dict(axes)


def _module(name: str) -> Any:
    """The module of a config file, which has a get_config. Raises UserError."""
    candidates = (pathlib.Path(name), CONFIGS.parent / name, CONFIGS / f"{name}.py")
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        there = [name for name in config_names() if name != "common"]
        raise UserError(
            f"no config file {name!r}{errors.nearest(pathlib.Path(name).stem, there)}\n"
            f"what exists in configs/: {', '.join(there)}"
        )
    module_spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if module_spec is None or path.suffix != ".py":
        raise UserError(
            f"config file {name!r} is not a Python file\nexpected a .py file with a function get_config(arg)"
        )
    make_configs_importable()
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"config file {name!r} is not Python: {error.msg}, line {error.lineno}") from None
    if not hasattr(module, "get_config"):
        raise UserError(f"config file {name!r} has no get_config\nexpected a function get_config(arg) -> ConfigDict")
    return module


def config_names() -> list[str]:
    """List the package's own configs, by their files."""
    return sorted(path.stem for path in CONFIGS.glob("[a-z]*.py"))


def make_configs_importable() -> None:
    """Make `from configs import vae` find the package's own configs, from a config in any folder."""
    if "configs" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "configs", CONFIGS / "__init__.py", submodule_search_locations=[str(CONFIGS)]
    )
    sys.modules["configs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["configs"])


def keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict) and len(value):
            yield from keys(value, f"{prefix}{key}.")
        elif not isinstance(value, Mapping | ConfigDict):
            yield f"{prefix}{key}"


def override_all(config: ConfigDict, assignments: Iterable[tuple[str, str]]) -> None:
    """`override` for each (key, text), data.name first, as it sets other keys."""
    for key, text in sorted(assignments, key=lambda one: one[0] != "data.name"):
        override(config, key, text)


def override(config: ConfigDict, key: str, text: str) -> None:
    """Sets the dotted `key` to the value that `text` spells. Raises UserError: the nearest key, the type expected.

    Another data.name is other data: the keys by which the old one was read, unless they were changed, follow it, and
    numbers are expected of it no more.
    """
    section_name, _, name = key.rpartition(".")
    known = list(keys(config))
    section = config
    for part in filter(None, section_name.split(".")):
        if part not in section or not isinstance(section[part], ConfigDict):
            raise _unknown_key(key, known)
        section = section[part]
    if name not in section and section_name.split(".")[0] not in _OPEN or isinstance(section.get(name), ConfigDict):
        raise _unknown_key(key, known)
    default, value = section.get(name), _literal(text)
    if isinstance(default, str) and not isinstance(value, str | None) and not key.startswith(_VARYING):
        value = text  # a folder called 2024_01 is no number
    with config.unlocked():
        if key == "data.name" and (stood_for := sources.named(default)).items() <= section.to_dict().items():
            unset = {"dir": "", "size": None}
            section.update({name: unset[name] for name in stood_for if name in unset} | sources.named(str(value)))
            config.expected = config.expected if value == default else {}  # numbers of the old data
        section[name] = _typed(key, default, value)
        if key in ("train.steps", "train.epochs"):
            section["epochs" if name == "steps" else "steps"] = None


def _unknown_key(key, known):
    return UserError(
        f"unknown config key {key!r}{errors.nearest(key, known)}\nsee the config file for the keys there are"
    )


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        return text


def _typed(key: str, default: Any, value: Any) -> Any:
    """`value` as the type of `default`. Numbers that vary may be schedules. Raises UserError."""
    if default is None or value is None:
        return value
    if isinstance(default, tuple | list):
        values = value if isinstance(value, tuple | list) else _split(value)
        return tuple(_typed(key, default[0], part) for part in values) if default else tuple(values)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool):
        fits, expected = isinstance(value, bool), "true or false"
    elif key.startswith(_VARYING) and (isinstance(default, int | float) or isinstance(value, str)):
        if number or isinstance(default, str) and not _is_schedule_like(default):
            return value
        try:
            _parse_schedule(value)
        except UserError as error:
            raise UserError(f"config key {key!r}: {error}") from None
        return value
    elif isinstance(default, int):
        fits, expected = isinstance(value, int) and number, "a whole number"
    elif isinstance(default, float):
        fits, expected, value = number, "a number", float(value) if number else value
    else:
        fits, expected, value = True, "text", str(value)
    if not fits:
        raise UserError(f"config key {key!r} got {value!r}\nexpected {expected}, as in its default {default!r}")
    return value


def _parse_schedule(value: Any) -> None:
    from ae_jax.core import schedules  # and with it JAX, which a wrong flag or --help need not wait for

    schedules.parse(value)


def _is_schedule_like(text: str) -> bool:
    try:
        _parse_schedule(text)
    except UserError:
        return False
    return True


def _split(value: Any) -> list[Any]:
    return [_literal(part) for part in value.split(",") if part] if isinstance(value, str) else [value]


def to_plain(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON has it: dicts, lists, numbers, strings."""
    return json.loads(json.dumps(config.to_dict()))


def from_plain(plain: Mapping[str, Any]) -> ConfigDict:
    """The config back from JSON: lists become tuples."""
    tuples = lambda value: (
        {k: tuples(v) for k, v in value.items()}
        if isinstance(value, Mapping)
        else tuple(map(tuples, value))
        if isinstance(value, list)
        else value
    )
    return ConfigDict(tuples(plain), type_safe=False).lock()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{dotted key: (old value, new value)} where two plain configs differ; None for a key that is absent."""

    both = sorted({*keys(old), *keys(new)})
    return {key: (a, b) for key in both if (a := value_at(old, key)) != (b := value_at(new, key))}


def value_at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping | ConfigDict) else None
    return config
