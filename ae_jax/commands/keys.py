"""Describe every key that a config may have.

A description has the type, the default, the meaning, and what reads the key.
"""

import dataclasses
import inspect
from collections.abc import Iterator

from ae_jax.commands import listing
from ae_jax.core import forms, lookup, options
from ae_jax.core.docstrings import meanings_of
from ae_jax.data import corruptions, splits
from ae_jax.experiments import parts, reference, resolved, sections
from ae_jax.training import optim

_WEIGHT = "weight of the term TERM of the objective; terms are listed with each objective"
_REQUIRED = "required"
_VARYING = "a number that the model reads at every step"
# More readers of one kind than this are counted, and not named.
_MANY = 8


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a config.

    Attributes:
      name: the dotted key.
      form: the values that it may have, in words.
      default: the default in Python's notation, or "required".
      meaning: a sentence.
      readers: what reads it, as (kind, name), such as ("objective", "elbo"); empty for what everything reads.
    """

    name: str
    form: str
    default: str
    meaning: str
    readers: tuple[tuple[str, str], ...] = ()

    @property
    def read_by(self) -> str:
        """Return the readers in words, such as "objectives elbo, iwae; model vae"."""
        named: dict[str, list[str]] = {}
        for kind, name in self.readers:
            named.setdefault(kind, []).append(name)
        said = []
        for kind, names in named.items():
            plural = "s" * (len(names) > 1)
            said.append(f"{len(names)} {kind}s" if len(names) > _MANY else f"{kind}{plural} {', '.join(names)}")
        return "; ".join(said)


def every() -> list[Key]:
    """Return every key that this package reads, without those of the user's own code."""
    found: dict[str, Key] = {}
    for key in (*_always_there(), *_of_functions(), *_of_parts()):
        before = found.get(key.name)
        if before is None:
            found[key.name] = key
        elif key.readers:
            # A key of several readers has the meaning that the first of them gives it.
            found[key.name] = dataclasses.replace(before, readers=tuple(dict.fromkeys(before.readers + key.readers)))
    order = [*sections.fields(""), *sections.SECTIONS]
    return sorted(found.values(), key=lambda key: order.index(key.name.partition(".")[0]))


def matching(text: str) -> list[Key]:
    """Return the keys whose name contains a text; if there are none, those whose meaning does."""
    keys = every()
    return [key for key in keys if text in key.name] or [key for key in keys if text in key.meaning]


def _always_there() -> Iterator[Key]:
    """Yield the keys of the fixed sections."""
    meanings = meanings_of(sections.Top)
    yield Key("seed", "a whole number", "0", meanings["seed"])
    yield Key("weights.TERM", _words(forms.of(forms.Number)), "1.0", _WEIGHT)
    for section, kind in sections.SECTIONS.items():
        meanings = meanings_of(kind)
        for field in dataclasses.fields(kind):
            form = forms.of(field.type)
            yield Key(f"{section}.{field.name}", _words(form), repr(field.default), meanings[field.name])
    meanings = meanings_of(sections.Expected)
    for field in dataclasses.fields(sections.Expected):
        default = _REQUIRED if field.default is dataclasses.MISSING else repr(field.default)
        yield Key(f"expected.METRIC.{field.name}", _words(forms.of(field.type)), default, meanings[field.name])


def _of_functions() -> Iterator[Key]:
    """Yield the keys that are options of data sources, corruptions, objectives and optimisers."""
    functions = [
        *(("data", ("data source", name), splits.source(name)) for name in lookup.choices("sources")),
        *(("corruption", ("corruption", name), corruptions.function(name)) for name in listing.corruptions()),
        *(("objective", ("objective", name), resolved.objective(name)) for name in listing.objectives()),
        *(("optimizer", ("optimizer", name), optim.find(name)) for name in optim.names()),
    ]
    for section, reader, function in functions:
        own = {*reference.GIVEN.get(section, ()), "name"}
        meanings = {**meanings_of(sections.SECTIONS[section]), **meanings_of(function)}
        for name, parameter in options.of(function, skip=tuple(own)).items():
            yield _key(f"{section}.{name}", parameter, meanings.get(name, ""), reader)


def _of_parts() -> Iterator[Key]:
    """Yield the keys that are fields of models and of their parts."""
    for role, (kind, defined) in {"name": ("models", "Model"), **parts.NETS, **parts.PARTS}.items():
        for name in lookup.choices(kind, defined):
            part = lookup.find(kind, name, defined)
            meanings = {**meanings_of(part), **meanings_of(sections.Model)}
            reader = ("model" if role == "name" else role, name)
            for field, parameter in parts.fields_of(part, role).items():
                # The fields that hold parts are keys of the fixed sections, or named by their roles.
                if field not in parts.NETS:
                    yield _key(f"model.{field}", parameter, meanings.get(field, ""), reader)
            for word in getattr(part, "varying", ()):
                yield Key(
                    f"model.{word}", _words(forms.of(forms.Number)), "None", meanings.get(word, _VARYING), (reader,)
                )


def _key(name: str, parameter: inspect.Parameter, meaning: str, reader: tuple[str, str]) -> Key:
    default = _REQUIRED if parameter.default is parameter.empty else repr(parameter.default)
    # Objects without a notation of their own, such as functions of Optax, print their address.
    default = "an object of Optax" if " at 0x" in default else default
    return Key(name, _words(options.form_of(parameter)), default, meaning, (reader,))


def _words(form: forms.Form) -> str:
    """Describe the values that a key may have, without the hint on quotes that errors give."""
    return str(form).replace(" (in quotes if it is a number)", "")
