"""From a data section to the examples: their source, their splits, and their labels."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from ae_jax.core import errors, forms, lookup, options
from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import corruptions, labels, mapped, scaling, sources
from ae_jax.data.batching import evenly, outside

# The keys of section data that are read outside of its source. All others are arguments of the source.
READ_HERE = (
    *("source", "validation", "binarize", "binarize_seed", "labelled", "train_on_test", "transpose", "stream"),
    *("scale", "clip"),
)
# The arguments that every section has, empty where they are not set.
_COMMON = ("name", "dir", "path", "split", "cache", "size")
# The parameter of a source that needs another run. It receives the function that opens it.
_OPENER = "open_run"
# The parameters of a source that are no keys.
_GIVEN = ("validation", "whole", "format_number", _OPENER)


def load(
    section: Any,
    seed: int,
    format: int = FORMAT,
    whole: bool = False,
    open_run: Callable | None = None,
    fitted: DataSpec | None = None,
) -> tuple[DataSpec, dict[str, Any]]:
    """Read the examples that a data section names, and split and prepare them as it says.

    Args:
      section: the section `data` of a config.
      seed: of the run; in runs of a format below 4, what is binarised once depends on it.
      format: the rules by which validation is held out, see `ae_jax.core.types.FORMAT`.
      whole: whether to ask the source for all examples as one split, "all"; not every source can.
      open_run: the function that opens another run, for a source with a parameter `open_run`.
      fitted: the spec of a run that was trained before, whose scaling is kept; by default it is fitted.

    Returns:
      The DataSpec, and {"train", "validation"?, "test"}, or {"all"}: {"x": [N, *shape], "label"?: [N]}, as stored.

    Raises:
      UnknownKey: the source has no argument of a key that is set.
      UserError: a key has a value that it may not have, or the examples cannot be had or split so.
    """
    scaling.check(section.get("scale") or "none")
    spec, splits = _read(section, format, whole, open_run)
    if section.validation and (format == 1 or "validation" not in splits):
        splits = {**splits, **_hold_out(splits["train"], section.validation, format)}
    if section.labelled is not None:
        splits["train"] = _with_labels(splits["train"], section.labelled, format)
    if section.train_on_test:
        splits["train"] = _joined(splits, ("train", "test"))
    # Scaling comes after the join, so that it is fitted to all examples that are trained on.
    spec, splits = _scaled(section, spec, splits, fitted)
    if section.binarize != "none" and spec.kind == "reals":
        _check_probabilities(spec, splits)
    if section.binarize == "fixed":
        # Runs of different seeds then share one test set.
        its_own = section.get("binarize_seed") or 0
        spec, splits = corruptions.binarize_once(spec, splits, its_own if format > 3 else seed)
    return spec, splits


def _scaled(
    section: Any, spec: DataSpec, splits: dict[str, Any], fitted: DataSpec | None
) -> tuple[DataSpec, dict[str, Any]]:
    """Scale the examples as data.scale says, and make reals in memory float32."""
    if section.get("scale", "none") != "none":
        return scaling.apply(section.scale, bool(section.get("clip")), spec, splits, fitted)
    if section.get("clip"):
        raise UserError("data.clip is for scaled data, and data.scale is none\nset --config.data.scale=minmax too")
    if spec.kind != "reals":
        return spec, splits
    return spec, {name: {**arrays, "x": mapped.as_float32(arrays["x"])} for name, arrays in splits.items()}


def _read(section: Any, format: int, whole: bool, open_run: Callable | None) -> tuple[DataSpec, dict[str, Any]]:
    """Ask the source of a data section for its examples. Raise UnknownKey for an unread key."""
    read = source(section.source)
    arguments, takes = _arguments(section, read), options.of(read)
    if format > 1 and section.validation and "validation" in takes:
        arguments["validation"] = section.validation
    if "format_number" in takes:
        arguments["format_number"] = format
    if whole and "whole" in takes:
        arguments["whole"] = True
    if _OPENER in takes:
        arguments[_OPENER] = open_run
    found = read(**arguments)
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], DataSpec)):
        raise UserError(f"data source {section.source!r} returned {type(found).__name__}\nexpected (DataSpec, splits)")
    return found


def source(name: str) -> Callable:
    """Return the function of a data source. Raise UserError where it does not look like one."""
    found = lookup.find("sources", name, "load")
    if not inspect.isfunction(inspect.unwrap(found)) or not _takes_keys_alone(found):
        raise UserError(
            f"data.source={name!r} is no data source\n"
            f"expected a function of {', '.join(_COMMON)}, and of keyword-only arguments or ones with defaults"
        )
    return found


def keys_of(name: str) -> dict[str, inspect.Parameter]:
    """Return {key of section data: parameter} for the source of this name."""
    return options.of(source(name), skip=_GIVEN)


def _takes_keys_alone(function: Callable) -> bool:
    """Tell whether a function can be called with keys of section data, and was meant to be.

    A function of another kind, such as one that removes a folder, has positional arguments of other names.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind in (one.POSITIONAL_ONLY, one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return False
    keys = [one for one in parameters if one.name not in _GIVEN]
    have_defaults = all(one.default is not one.empty for one in keys)
    return all(have_defaults or one.name in _COMMON or one.kind is one.KEYWORD_ONLY for one in keys)


def _arguments(section: Any, read: Callable) -> dict[str, Any]:
    """Return the arguments for a source: the keys that are set. Raise UnknownKey.

    Every section has the name of the data set, whether or not its source takes it. A key that is empty, zero or False
    is as good as absent for a source that does not take it, so that a config can state the keys of several sources.
    """
    takes, arguments = options.of(read, skip=_GIVEN), {}
    for key, value in section.items():
        if key in READ_HERE or value is None or (value == "" and key in _COMMON):
            continue
        if key in takes:
            forms.check(f"data.{key}", value, options.form_of(takes[key]))
            arguments[key] = value
        elif key != "name" and value:
            valid, others = ([f"data.{one}" for one in names] for names in (takes, READ_HERE))
            raise errors.UnknownKey(f"data.{key}", valid, f"data source {section.source!r}", others)
    for name, parameter in takes.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise UserError(f"data source {section.source!r} needs data.{name}\nset --config.data.{name}=...")
    return arguments


def _hold_out(train: Mapping[str, Any], held: int, format: int) -> dict[str, dict[str, Any]]:
    """Cut `held` examples off a training split for validation.

    They are drawn by a fixed permutation, because the end of a file that is sorted by class is a single class. In
    format 1 they are the end. Both splits keep the order of the file.

    Returns:
      {"train", "validation"}.

    Raises:
      UserError: no example is left to train on.
    """
    count = len(train["x"])
    if held >= count:
        raise UserError(f"data.validation={held} of {count} training examples\nexpected less than {count}")
    if format == 1:
        cut = {"train": slice(count - held), "validation": slice(count - held, None)}
        return {name: {key: values[where] for key, values in train.items()} for name, where in cut.items()}
    drawn = np.zeros(count, bool)
    drawn[np.random.RandomState(1).permutation(count)[:held]] = True  # RandomState: the same in every NumPy
    numbers = {"train": np.flatnonzero(~drawn), "validation": np.flatnonzero(drawn)}
    return {name: {key: mapped.rows(values, these) for key, values in train.items()} for name, these in numbers.items()}


def _check_probabilities(spec: DataSpec, splits: Mapping[str, Any]) -> None:
    """Raise UserError for values outside [0, 1]."""
    for name, split in splits.items():
        if found := outside(split["x"], spec, (0, 1)):
            raise UserError(
                f"data.binarize is for values from 0 to 1, and the {name} split has {found}\n"
                "scale the data, or leave data.binarize out"
            )


def _with_labels(split: Mapping[str, Any], count: int, format: int) -> dict[str, Any]:
    """Return a split of which `count` examples keep their class; the others have -1.

    They are taken at even distances, because the first examples of a sorted file are of one class. In formats up to 4
    they are the first ones.
    """
    label = np.asarray(split.get("label", np.zeros(0)))
    if label.ndim > 1:
        raise UserError(f"data.labelled={count} is for classes, and these labels are vectors\nleave it out")
    if count > len(label):
        raise UserError(f"data.labelled={count} of {len(label)} labels\nexpected at most those")
    keeps = np.zeros(len(label), bool)
    keeps[evenly(count, len(label)) if format > 4 else np.arange(count)] = True
    return {**split, "label": np.where(keeps, label, -1).astype(label.dtype)}


def other(
    config: Any,
    spec: DataSpec,
    name: str,
    whole: bool = False,
    open_run: Callable | None = None,
    format: int = FORMAT,
) -> dict[str, Any]:
    """Read other data than a config's own, prepared as its own are.

    Args:
      config: the config.
      spec: what its own examples are. Labels of another kind than these have are left out.
      name: "NAME" or "SOURCE:PATH".
      whole: whether to return one split, "all", of all examples: in the order of the file where the source keeps it.
      open_run: as for `load`.
      format: as for `load`.

    Returns:
      {"train", "validation"?, "test"}, as the source splits them, or {"all"}.

    Raises:
      UserError: the examples are not of `spec`.
    """
    origin, _, path = name.partition(":")
    section = ConfigDict({**config.data, "name": name, "dir": "", "path": "", "split": ""}, type_safe=False)
    section.update({"validation": 0, "labelled": None, "train_on_test": False, **sources.named(name)})
    if path or origin in lookup.choices("sources"):
        section.source = origin
    takes = keys_of(section.source)
    section.update({key: None for key in section if key not in takes and key not in READ_HERE})
    if "digest" in takes:
        section.digest = ""  # it is of the run that the config's own data are made of
    if spec.features and "columns" in takes:
        section.columns = spec.features  # another table may have them in another order
    if path:
        section["path" if "path" in takes else "dir"] = path
    found, splits = load(section, config.seed, format, whole, open_run, fitted=spec)
    kinds = [f"{one.shape} of {one.kind}" + f" in {one.levels} levels" * (one.kind != "reals") for one in (found, spec)]
    if kinds[0] != kinds[1]:
        raise UserError(f"--data={name} has examples {kinds[0]}\nthis model was trained on {kinds[1]}")
    splits = _labelled_alike(splits, found, spec, name)
    return {"all": _joined(splits)} if whole else splits


def _labelled_alike(splits: Mapping[str, Any], found: DataSpec, spec: DataSpec, name: str) -> dict[str, Any]:
    """Return other data of a run with classes numbered as in the run.

    Without labels where they are of other kinds.
    """
    if found.label_dim == spec.label_dim and not (found.classes and spec.classes):
        return dict(splits)
    numbered = {}
    for split, arrays in splits.items():
        if found.label_dim == spec.label_dim and "label" in arrays:
            numbered[split] = labels.renumbered(np.asarray(arrays["label"]), found.class_names, spec.class_names)
    if any(label is None for label in numbered.values()):
        print(f"--data={name} has classes that the run lacks: its labels are left out", file=sys.stderr)
        numbered = {}
    rest = {split: {key: x for key, x in arrays.items() if key != "label"} for split, arrays in splits.items()}
    return {split: {**rest[split], **({"label": numbered[split]} if split in numbered else {})} for split in rest}


def _joined(splits: Mapping[str, Any], names: Sequence[str] = ("train", "validation", "test")) -> dict[str, Any]:
    """Join the splits of these names that there are into one.

    A split "all" is what the source has joined already.
    """
    if "all" in splits:
        return splits["all"]
    parts = [splits[name] for name in names if name in splits]
    return {key: mapped.concatenated([part[key] for part in parts]) for key in parts[0]}


def depend_on_seed(config: Any) -> bool:
    """Tell whether runs of other seeds may see other data, as they do before format 4."""
    return config.data.binarize == "fixed"
