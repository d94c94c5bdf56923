"""From a data section to the examples: where they come from, which are held out, and which keep their labels."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import corruptions, sources

# The keys of section data that a source may take.
_READABLE = ("name", "dir", "path", "split", "cache", "size", "draw", "standardise", "layer", "seed", "digest")
# The parameter of a source that needs another run, and no key.
_OPENER = "open_run"


def load(section: Any, seed: int, open_run: Callable | None = None) -> tuple[DataSpec, dict[str, Any]]:
    """Return (spec, {"train", "validation"?, "test"}) of a data section.

    Args:
      section: the data section of a config.
      seed: the seed of what is binarised once.
      open_run: the function that opens another run, for a source with a parameter `open_run`.

    Raises:
      UserError: there is no such source, nothing reads a key, or the examples cannot be read.
    """
    source = _source(section.source)
    accepted = [key for key in _READABLE if key in inspect.signature(source).parameters]
    for key in _READABLE[1:]:
        if section.get(key) and key not in accepted:
            raise UserError(
                f"data.{key}={section[key]!r} is read by nothing: data source {section.source!r} does not take it\n"
                f"it takes: {', '.join(f'data.{name}' for name in accepted) or 'nothing'}"
            )
    given = {_OPENER: open_run} if _OPENER in inspect.signature(source).parameters else {}
    found = source(**{key: section[key] for key in accepted if section.get(key)}, **given)
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], DataSpec)):
        raise UserError(f"data source {section.source!r} returned {type(found).__name__}\nexpected (DataSpec, splits)")
    spec, splits = found
    train_split, held = splits["train"], section.validation
    n = len(train_split["x"])
    if held and "validation" not in splits:
        if held >= n:
            raise UserError(f"data.validation={held} of {n} training examples\nexpected less than {n}")
        splits["validation"] = {key: values[n - held :] for key, values in train_split.items()}
        splits["train"] = {key: values[: n - held] for key, values in train_split.items()}
    if section.get("labelled") is not None:
        splits["train"] = _with_labels(splits["train"], section.labelled)
    if section.train_on_test:
        both = {key: np.concatenate([splits["train"][key], splits["test"][key]]) for key in splits["train"]}
        splits["train"] = both
    if section.binarize != "none" and spec.kind == "reals":
        _check_probabilities(splits)
    if section.binarize == "fixed":
        spec, splits = corruptions.binarize_once(spec, splits, seed)
    return spec, splits


def _source(name: str) -> Callable:
    """Return the function of a data source. Raise UserError, without calling it, unless it takes keys of data alone."""
    source = lookup.find("sources", name, "load")
    written_in_python = inspect.isfunction(inspect.unwrap(source))
    if not written_in_python or not set(inspect.signature(source).parameters) <= {*_READABLE, _OPENER}:
        raise UserError(
            f"data.source={name!r} is no data source\n"
            f"expected a function with no parameters but some of: {', '.join(_READABLE)}"
        )
    return source


def options_of(name: str) -> tuple[str, ...]:
    """Return the keys of section data that the source of this name takes. Raise UserError where there is none."""
    return tuple(key for key in inspect.signature(_source(name)).parameters if key != _OPENER)


def _check_probabilities(splits: Mapping[str, Any]) -> None:
    for name, split in splits.items():
        low, high = np.min(split["x"]), np.max(split["x"])
        if low < 0 or high > 1:
            raise UserError(f"data.binarize of values from {low:g} to {high:g} ({name})\nexpected values in [0, 1]")


def _with_labels(split: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The split with the classes of its first `count` examples only; the others have -1, as the unknown class."""
    label = split.get("label", np.zeros(0))
    if label.ndim > 1:
        raise UserError(f"data.labelled={count} is for classes, and these labels are vectors\nleave it out")
    if count > len(label):
        raise UserError(f"data.labelled={count} of {len(label)} labels\nexpected at most those")
    return {**split, "label": np.where(np.arange(len(label)) < count, label, -1).astype(label.dtype)}


def other(config: Any, spec: DataSpec, name: str, open_run: Callable | None = None) -> dict[str, Any]:
    """Return the splits of other data, cut as their source does, and prepared as the config's own are.

    Labels of another kind than those of `spec` are left out.

    Args:
      config: the config of a run.
      spec: what the examples of that run look like.
      name: "NAME" or "SOURCE:PATH".
      open_run: as for `load`.

    Raises:
      UserError: the examples are not of `spec`, or cannot be read.
    """
    source, _, path = name.partition(":")
    fresh = {"name": name, "dir": "", "path": "", "split": "", "validation": 0, "labelled": None, **sources.named(name)}
    section = ConfigDict({**config.data, **fresh})
    if path or source in lookup.choices("sources"):
        section.source = source
    takes = options_of(section.source)
    section.update({key: None for key in _READABLE[1:] if key not in takes and key in section})
    if "digest" in takes:
        section.digest = ""  # it is of the run that the config's own data are made of
    if path:
        section["path" if "path" in takes else "dir"] = path
    found, splits = load(section, config.seed, open_run)
    kinds = [f"{one.shape} of {one.kind}" + f" in {one.levels} levels" * (one.kind != "reals") for one in (found, spec)]
    if kinds[0] != kinds[1]:
        raise UserError(f"--data={name} has examples {kinds[0]}\nthis model was trained on {kinds[1]}")
    if found.label_dim != spec.label_dim:
        splits = {
            side: {key: array for key, array in arrays.items() if key != "label"} for side, arrays in splits.items()
        }
    return splits


def depend_on_seed(config: Any) -> bool:
    """Whether runs of other seeds see other data, rather than the same in another order."""
    return config.data.binarize == "fixed"
