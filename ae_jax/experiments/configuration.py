"""Load configs from Python files, override their keys, store them as JSON and compare them.

absl and ml_collections could parse `--config.KEY=VALUE` too. They do not suggest the nearest key in an error, accept
schedules in place of numbers, keep texts that look like numbers, or reset the data keys when the data set changes.
"""

import functools
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
from ae_jax.experiments import checks, own_data, sections, values

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# The checkout; or, for an installed package, the folder that it is installed in.
ROOT = PACKAGE.parent
# The configs lie beside the package in a checkout, and inside an installed package.
CONFIGS = next(folder for folder in (PACKAGE / "configs", ROOT / "configs") if folder.is_dir())

# The keys that only say where the data lie. They may differ between the hosts of one run.
PLACES = ("data.dir", "data.path", "data.cache")


def parse_arguments(arg: str, defaults: Mapping[str, Any]) -> ConfigDict:
    """Parse the arguments of a config file, such as "mnist,k=5".

    Args:
      arg: words joined by commas. A word whose default is False is a flag, such as mnist. Any other word is NAME=VALUE.
      defaults: {name: default}, the arguments that the config has.

    Returns:
      The defaults, updated by the words, each with the type of its default.

    Raises:
      UserError: an argument is unknown, or has the wrong form or type.
    """
    arguments = ConfigDict(dict(defaults), type_safe=False)
    for word in filter(None, (arg or "").split(",")):
        name, equals, text = word.partition("=")
        if name not in defaults:
            raise errors.unknown("config argument", name, defaults)
        default = defaults[name]
        is_flag = default is False
        if is_flag == bool(equals):
            form = name if is_flag else f"{name}={default}"
            raise UserError(f"config argument {word!r} has the wrong form\nexpected: {form}")
        if is_flag:
            arguments[name] = True
        else:
            arguments[name] = values.like(name, default, values.literal(text), "config argument")
    return arguments


def load(text: str) -> ConfigDict:
    """Load a config, locked.

    Args:
      text: "FILE.py:arguments", or "NAME:arguments" for one of the package's own configs. A relative path is looked up
        in the current folder first, and then beside the package's own configs.

    Raises:
      UserError: there is no such file, or it has no get_config that returns a ConfigDict.
    """
    name, _, arg = text.partition(":")
    config = _module(name).get_config(arg)
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config in {name!r} returned {type(config).__name__}\nexpected a ConfigDict")
    return config.lock()


def load_sweep(text: str) -> dict[str, str]:
    """Return the sweep that a config file proposes, {key: text of its values}.

    Args:
      text: the config, as for `load`. A file without a function sweep() proposes none, {}.
    """
    name = text.partition(":")[0]
    axes: Any = getattr(_module(name), "sweep", dict)()
    if not isinstance(axes, Mapping) or not all(isinstance(values, str) for values in axes.values()):
        raise UserError(f"sweep in {name!r} returned {axes!r}\nexpected a dict such as {{'weights.kl': '1,2,4'}}")
    return dict(axes)


def _module(name: str) -> Any:
    """Import a config file. Raise UserError where there is none or it has no get_config."""
    candidates = (pathlib.Path(name), CONFIGS.parent / name, CONFIGS / f"{name}.py")
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        there = [name for name in config_names() if name != "common"]
        raise UserError(
            f"no config file {name!r}{errors.nearest(pathlib.Path(name).stem, there)}\n"
            f"what exists in configs/: {', '.join(there)}"
        )
    module_spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if module_spec is None or module_spec.loader is None or path.suffix != ".py":
        raise UserError(
            f"config file {name!r} is not a Python file\nexpected a .py file with a function get_config(arg)"
        )
    # Config files import their parents with `from configs import vae`, from wherever the command is run.
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
    """Make `from configs import vae` find the package's own configs from any folder."""
    if "configs" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "configs", CONFIGS / "__init__.py", submodule_search_locations=[str(CONFIGS)]
    )
    assert spec is not None and spec.loader is not None  # the folder has an __init__.py
    sys.modules["configs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["configs"])


def keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all values of a config."""
    for key, value in config.items():
        if not checks.is_section(value):
            yield f"{prefix}{key}"
        elif len(value):
            yield from keys(value, f"{prefix}{key}.")


def override_all(config: ConfigDict, assignments: Iterable[tuple[str, str]]) -> None:
    """Override keys of a config.

    Args:
      config: the config, which is changed.
      assignments: (key, text) of each key. data.name comes first, because it resets other keys.
    """
    # Sorting is stable, so the user's order decides between assignments of the same key.
    in_order = sorted(assignments, key=lambda one: one[0] != "data.name")
    assigned = {key for key, _ in in_order}
    with config.unlocked():
        before = config.data.source
        config.data.source = own_data.source_for(config, assigned)
        for key, text in in_order:
            override(config, key, text)
        if "data.name" not in assigned:
            own_data.follow(config, before, assigned)


def override(config: ConfigDict, key: str, text: str) -> None:
    """Set a dotted key of a config to the value that a text spells.

    A new data.name also sets the keys by which the data are read, see `_change_data`. A new train.steps clears
    train.epochs, and the other way round.

    Args:
      config: the config, which is changed.
      key: the dotted key.
      text: its value, as the user typed it.

    Raises:
      UnknownKey: the key does not exist. A section whose keys depend on the names in it accepts any key here; the key
        is checked when the experiment is built.
      UserError: the text spells no value that the key may have.
    """
    section, name = _find(config, key)
    value = values.read(key, section.get(name), text)
    with config.unlocked():
        if key == "data.name":
            _change_data(config, value)
        section[name] = value
        if key in ("train.steps", "train.epochs") and value is not None:
            section["epochs" if name == "steps" else "steps"] = None


def _find(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """Return (section, name) of a dotted key. Raise UnknownKey where it does not exist."""
    *path, name = key.split(".")
    section = config
    for part in path:
        section = section.get(part) if checks.is_section(section) else None
    known = {*keys(config), *checks.known_keys()} - set(sections.SECTIONS)
    is_allowed = key in known or path and path[0] in sections.OPEN
    # A whole section cannot be typed as one value.
    if not is_allowed or not checks.is_section(section) or checks.is_section(section.get(name)):
        raise errors.UnknownKey(key, known)
    return section, name


def _change_data(config: ConfigDict, name: str) -> None:
    """Reset data.source, dir and size to another data set's defaults, and clear config.expected.

    If the user has changed one of these keys, all of them stay.
    """
    section, before = config.data, sources.named(config.data.name)
    # Keys that differ from the data set's defaults were set by the user or the config file.
    if not before.items() <= section.to_dict().items():
        return
    unset = {"dir": "", "size": None}
    section.update({key: unset[key] for key in before if key in unset})
    section.update(sources.named(name))
    if name != section.name:
        config.expected, config.regression = {}, {}


def to_plain(config: ConfigDict) -> dict[str, Any]:
    """Return a config as JSON would return it: dicts, lists, numbers and texts."""
    return json.loads(json.dumps(config.to_dict()))


def from_plain(plain: Mapping[str, Any]) -> ConfigDict:
    """Return the locked config of a plain one, the inverse of `to_plain`.

    Lists become tuples, because fields of Linen modules have to be hashable and JSON has no tuples.
    """
    return ConfigDict(_with_tuples(plain), type_safe=False).lock()


def _with_tuples(value: Any) -> Any:
    """Return a value with tuples in place of lists, at every depth."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(each) for key, each in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def from_stored(plain: Mapping[str, Any], file: pathlib.Path) -> ConfigDict:
    """Return a config that was stored in a file, perhaps by another version of this package.

    Keys that are absent take their defaults. A key that this version does not know is removed, with a warning on
    standard error.

    Args:
      plain: the config, as `to_plain` returns it.
      file: the file, for the warning.
    """
    config = from_plain(plain)
    # A run of a newer version stays readable, because a warning says what is missing.
    for key in checks.unknown_keys(config):
        warn_unknown(key, file)
        config = without(config, key)
    return checks.filled(config)


@functools.cache
def warn_unknown(key: str, file: pathlib.Path) -> None:
    """Warn on standard error, once per process, that nothing reads a key of a stored config."""
    print(f"warning: unknown config key {key!r} in {file} is ignored", file=sys.stderr)


def without(config: ConfigDict, key: str) -> ConfigDict:
    """Return a copy of a config without a dotted key."""
    copy = config.copy_and_resolve_references()
    section, _, name = key.rpartition(".")
    with copy.unlocked():
        del (value_at(copy, section) if section else copy)[name]
    return copy


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return {dotted key: (old, new)} where two plain configs differ; an absent value is None."""
    both = sorted({*keys(old), *keys(new)})
    pairs = {key: (value_at(old, key), value_at(new, key)) for key in both}
    return {key: (before, after) for key, (before, after) in pairs.items() if before != after}


def value_at(config: Any, key: str) -> Any:
    """Return the value at a dotted key of a config; None if it is absent."""
    for part in key.split("."):
        config = config.get(part) if checks.is_section(config) else None
    return config
