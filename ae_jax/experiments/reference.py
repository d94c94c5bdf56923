"""List the keys of a config, each with its value, its meaning and the parts that read it."""

import dataclasses
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import options
from ae_jax.core.docstrings import meanings_of
from ae_jax.data import corruptions, splits
from ae_jax.experiments import checks, parts, resolved, sections
from ae_jax.training import optim

_PART = "the {0}: a file in ae_jax/models/{0}s, or package.module:Name"
# {section: parameters of its function that a config does not set}.
GIVEN = {
    "objective": ("outputs", "batch", "key", "open_run"),
    "data": ("validation", "whole", "open_run"),
    "corruption": ("key", "x"),
}
_PLAYER = "the optimiser of this module of the model: the keys in which it differs from section optimizer"
_WEIGHT = "weight of this term of the objective; a number or a schedule"
_VARYING = "a number that the model reads at every step, or a schedule"


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a config.

    Args:
      name: the dotted key.
      meaning: what it means; empty if no docstring explains it.
      is_set: whether the config states the key.
      value: its value; the default if it is not set.
      readers: the parts of the model that read it, such as "encoder 'mlp'".
    """

    name: str
    meaning: str
    is_set: bool
    value: Any
    readers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the key as a paragraph: `KEY=VALUE (readers): meaning`."""
        state = f"={self.value!r}" if self.is_set else f" (default {self.value!r})"
        readers = f" ({', '.join(self.readers)})" if self.readers else ""
        text = f"{self.name}{state}{readers}: {self.meaning}"
        return textwrap.fill(text, 120, initial_indent="  ", subsequent_indent=" " * 6, break_on_hyphens=False)


def describe(config: ConfigDict) -> str:
    """Return the keys of a config as text; raise UserError where the config has a mistake."""
    config = checks.complete(config)
    resolved.resolve(config)
    return "\n".join(map(str, keys(config)))


def keys(config: ConfigDict) -> Iterator[Key]:
    """Yield the keys that a config sets, and those that the names in it make available."""
    yield Key("seed", meanings_of(sections.Top)["seed"], True, config.seed)
    yield from _of_function("data", config.data, splits.source(config.data.source), ("name", *splits.READ_HERE))
    corruption = corruptions.function(config.corruption.name)
    yield from _of_function("corruption", config.corruption, corruption, ("name", "clip"))
    yield from _of_model(config.model)
    objective = resolved.objective(config.objective.name)
    yield from _of_function("objective", config.objective, objective, ("name", "num_samples"))
    yield from (Key(f"weights.{term}", _WEIGHT, True, weight) for term, weight in config.weights.items())
    yield from _of_function("optimizer", config.optimizer, optim.find(config.optimizer.name), ("name", "clip"))
    for module, section in (config.optimizer.get("players") or {}).items():
        yield Key(f"optimizer.players.{module}", _PLAYER, True, dict(section or {}))
    for section in ("train", "eval", "mesh"):
        yield from _always_there(section, config[section], list(sections.fields(section)))
    for name, kind in (("expected", sections.Expected), ("regression", sections.Regression)):
        meanings = meanings_of(kind)
        for metric, entry in config[name].items():
            yield from (Key(f"{name}.{metric}.{key}", meanings[key], True, value) for key, value in entry.items())


def _always_there(section: str, values: Mapping[str, Any], names: Sequence[str]) -> Iterator[Key]:
    """Yield the keys `names` of a section, which every config has."""
    meanings = meanings_of(sections.SECTIONS[section])
    yield from (Key(f"{section}.{name}", meanings[name], True, values.get(name)) for name in names)


def _of_function(section: str, values: Mapping[str, Any], function: Callable, own: Sequence[str]) -> Iterator[Key]:
    """Yield the keys of a section that names a function.

    Args:
      section: the name of the section.
      values: the section.
      function: the function, whose options are keys.
      own: the keys that something else reads.
    """
    yield from _always_there(section, values, own)
    # A function may explain an option of its own more exactly than the section does.
    meanings = {**meanings_of(sections.SECTIONS[section]), **meanings_of(function)}
    for name, parameter in options.of(function, skip=(*own, *GIVEN.get(section, ()))).items():
        is_set = values.get(name) is not None
        default = None if parameter.default is parameter.empty else parameter.default
        yield Key(f"{section}.{name}", meanings.get(name, ""), is_set, values[name] if is_set else default)


def _of_model(section: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of a model section: part names, varying numbers and fields."""
    classes = parts.named(section)
    known = sections.fields("model")
    yield from _always_there("model", section, [role for role in classes if role in known])
    for role in [role for role in classes if role not in known]:
        yield Key(f"model.{role}", _PART.format(role), True, section[role])
    for word, part in parts.varying(classes).items():
        meaning = meanings_of(part).get(word, _VARYING)
        yield Key(f"model.{word}", meaning, section.get(word) is not None, section.get(word))
    yield from _of_fields(section, classes)


def _of_fields(section: Mapping[str, Any], classes: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys that are fields of the model or of its parts, each with all its readers."""
    found: dict[str, Key] = {}
    for role, part in classes.items():
        meanings = {**meanings_of(part), **meanings_of(sections.Model)}
        reader = f"{'model' if role == 'name' else role} {section[role]!r}"
        for name, parameter in parts.fields_of(part, role).items():
            if name in classes:  # a name of a part, which has a line already
                continue
            # `encoder_hidden` replaces `hidden` for the encoder, so only the key that is read is listed.
            key = f"{role}_{name}" if section.get(f"{role}_{name}") is not None else name
            is_set = section.get(key) is not None
            new = Key(f"model.{key}", meanings.get(name, ""), is_set, section[key] if is_set else parameter.default)
            # Encoder and decoder often share a key. It is listed once, with the first meaning that is found.
            before = found.setdefault(key, new)
            meaning, readers = before.meaning or new.meaning, (*before.readers, reader)
            found[key] = dataclasses.replace(before, meaning=meaning, readers=readers)
    yield from found.values()
