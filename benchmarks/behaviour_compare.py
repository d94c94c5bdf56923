"""Compare two records of `behaviour.py`."""

import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

_ABSENT = object()


def compare(first: str, second: str) -> int:
    """Print each entry in which two records differ, and return how many there are.

    Only sections that both records have are compared; the others are named.
    """
    old, new = (json.loads(pathlib.Path(file).read_text()) for file in (first, second))
    for section in sorted(old.keys() ^ new.keys()):
        print(f"not compared, as only one record has it: {section}")
    differing, reworded, largest = 0, 0, 0.0
    for section in sorted(old.keys() & new.keys()):
        for path, before, after in differences(old[section], new[section], section):
            differing += 1
            if before is _ABSENT or after is _ABSENT:
                said = f"only in {first if after is _ABSENT else second}"
            elif _are_numbers(before) and _are_numbers(after):
                relative = relative_difference(before, after)
                largest = max(largest, relative)
                said = f"relative difference {relative:.2g}"
            elif path.endswith("/sha256"):
                said = "other bytes"
            else:
                reworded += path.endswith("/refused")
                said = f"{before!r} became {after!r}"
            print(f"{path}: {said}")
    print(f"{differing} entries differ, {reworded} of them refusals in other words")
    print(f"largest relative difference of numbers: {largest:.2g}")
    return differing


def differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, old, new) of each value or branch in which two records differ."""
    if json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True):  # as text, NaN equals NaN
        return
    old_parts, new_parts = _parts(old), _parts(new)
    if old_parts is None or new_parts is None:
        yield path, old, new
        return
    for key in sorted(old_parts.keys() | new_parts.keys()):
        part = f"{path}/{key}"
        if key in old_parts and key in new_parts:
            yield from differences(old_parts[key], new_parts[key], part)
        else:
            yield part, old_parts.get(key, _ABSENT), new_parts.get(key, _ABSENT)


def _parts(value: Any) -> dict[str, Any] | None:
    """Return {name or number: part} of a branch; None for a value or a list of numbers."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and not _are_numbers(value):
        return {str(number): part for number, part in enumerate(value)}
    return None


def _are_numbers(value: Any) -> bool:
    """Return whether a value is a number or a list of numbers."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, int | float) for one in values)


def relative_difference(old: Any, new: Any) -> float:
    """Return the largest difference of two (lists of) numbers, over their largest magnitude."""
    old, new = (value if isinstance(value, list) else [value] for value in (old, new))
    if len(old) != len(new):
        return math.inf
    differing = [abs(a - b) for a, b in zip(old, new, strict=True) if json.dumps(a) != json.dumps(b)]
    if not all(map(math.isfinite, differing)):
        return math.inf
    largest = max(differing, default=0.0)
    return largest and largest / max(abs(value) for value in (*old, *new) if math.isfinite(value))
