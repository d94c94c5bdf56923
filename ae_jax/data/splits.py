"""From a data section to the examples: where they come from, which are held out, and which keep their labels."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import corruptions, sources


def load(section: Any, seed: int) -> tuple[DataSpec, dict[str, Any]]:
    """(spec, {"train", "validation"?, "test"}) of a data section. Raises UserError."""
    source = lookup.find("sources", section.source, "load")
    readable = ("name", "dir", "path", "split", "cache", "size")
    accepted = [key for key in readable if key in inspect.signature(source).parameters]
    for key in readable[1:]:
        if section.get(key) and key not in accepted:
            raise UserError(
                f"data.{key}={section[key]!r} is read by nothing: data source {section.source!r} does not take it\n"
                f"it takes: {', '.join(f'data.{name}' for name in accepted) or 'nothing'}"
            )
    spec, splits = source(**{key: section[key] for key in accepted if section.get(key)})
    train_split, held = splits["train"], section.validation
    n = len(train_split["x"])
    if held:
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


def other(config: Any, spec: DataSpec, name: str) -> dict[str, Any]:
    """The splits of "NAME" or "SOURCE:PATH", cut as their source does, prepared as the config's own are; without labels
    of another kind than `spec` has.

    Raises UserError where the examples are not of `spec`.
    """
    source, _, path = name.partition(":")
    fresh = {"name": name, "dir": "", "path": "", "split": "", "validation": 0, "labelled": None, **sources.named(name)}
    section = ConfigDict({**config.data, **fresh})
    if path or source in lookup.choices("sources"):
        section.source = source
    takes = inspect.signature(lookup.find("sources", section.source, "load")).parameters
    if path:
        section["path" if "path" in takes else "dir"] = path
    section.update({key: None for key in ("cache", "size") if key not in takes})
    found, splits = load(section, config.seed)
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
