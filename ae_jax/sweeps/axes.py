"""Sweep axes: from text such as "1,2,4", "0:8" or "log:1e-4:1e-2:5" to values, and from axes to the runs they span.

Values stay texts until `ae_jax.experiments.configuration.override` sets them, so that an axis is typed as a flag is.
"""

import csv
import itertools
import math
import pathlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from ae_jax.core.errors import UserError

Assignment = dict[str, str]  # {config key: text of its value}

FORMS = "1,2,4 or INT:INT[:INT] or lin:A:B:N or log:A:B:N"
_MOST_VALUES = 1_000_000
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def parse(text: str) -> tuple[str, list[str]]:
    """(key, texts of its values) of "KEY=VALUES". Raises UserError for what cannot be read, and for an empty axis.

    Values are separated by commas outside of brackets and quotes. "INT:INT[:INT]" counts as Python's range does,
    without its end; "lin:A:B:N" and "log:A:B:N" are N numbers from A to B, equally spaced and equally spaced in their
    logarithm, to six significant digits. What stands in quotes is one value as it is.
    """
    key, equals, values = text.partition("=")
    if not key.strip() or not equals:
        raise UserError(f"axis {text!r} has no values\nexpected KEY=VALUES: {FORMS}")
    parts = _split(values)
    if not all(parts):
        what = "is empty" if len(parts) == 1 else "has an empty value"
        raise UserError(f"axis {key!r} {what}: {values!r}\nexpected values: {FORMS}")
    found = [value for part in parts for value in _values(key, part)]
    if not found:
        raise UserError(f"axis {key!r} is empty: {values!r}\nexpected values: {FORMS}")
    return key.strip(), found


def _split(text: str) -> list[str]:
    """The parts between the commas that stand outside of brackets and quotes."""
    parts, closing, quote = [""], [], ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _BRACKETS:
            closing.append(_BRACKETS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        elif character == "," and not closing:
            parts.append("")
            continue
        parts[-1] += character
    if quote or closing:
        raise UserError(f"{text!r} ends inside {'quotes' if quote else 'brackets'}\nexpected {quote or closing[-1]}")
    return [part.strip() for part in parts]


def _values(key: str, part: str) -> Sequence[str]:
    quote = part[0]
    if quote in "'\"" and part.find(quote, 1) == len(part) - 1:
        return [part[1:-1]]
    if match := _RANGE.fullmatch(part):
        return _range(key, part, [int(number) for number in match.groups() if number is not None])
    if part.startswith(("lin:", "log:")):
        return _spaced(key, part)
    return [part]


def _range(key, part, numbers):
    if len(numbers) == 3 and numbers[2] == 0:
        raise UserError(f"axis {key!r}: {part!r} never moves\nexpected INT:INT[:INT] with a step that is not 0")
    values = range(*numbers)
    _at_most(key, part, len(values))
    return list(map(str, values))


def _spaced(key, part):
    form, *texts = part.split(":")
    try:
        start, end, count = (float(texts[0]), float(texts[1]), int(texts[2]))
        fits = len(texts) == 3 and count >= 1 and all(map(math.isfinite, (start, end)))
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise UserError(f"axis {key!r}: {part!r} cannot be read\nexpected {form}:A:B:N, two numbers and how many")
    if form == "log" and not (start > 0 and end > 0):
        raise UserError(f"axis {key!r}: {part!r} has an end that is not above 0\ntry lin:A:B:N")
    _at_most(key, part, count)
    shares = [number / max(count - 1, 1) for number in range(count)]
    between = lambda share: start + (end - start) * share if form == "lin" else start ** (1 - share) * end**share
    return [f"{between(share):.6g}" for share in shares]


def _at_most(key, part, count):
    if count > _MOST_VALUES:
        raise UserError(f"axis {key!r}: {part!r} is {count:,} values\nexpected at most {_MOST_VALUES:,}")


class Grid:
    """All combinations of the axes' values, the last axis varying fastest; zipped axes advance together.

    axes: {key: texts}; zipped: keys of axes of one length, which stand where the first of them does.
    Raises UserError for a zipped key without an axis, and for zipped axes of different lengths.
    """

    def __init__(self, axes: Mapping[str, Sequence[str]], zipped: Sequence[str] = ()):
        for key in zipped:
            if key not in axes:
                raise UserError(f"--zip names {key!r}, which is no axis\nthe axes are: {', '.join(axes)}")
        lengths = {key: len(axes[key]) for key in zipped}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise UserError(f"zipped axes need equally many values: {listed}")
        together = [key for key in axes if key in zipped]
        groups = [(key,) if key not in zipped else tuple(together) for key in axes if key not in together[1:]]
        self.keys = list(axes)
        self._steps = [
            [dict(zip(group, texts)) for texts in zip(*(axes[key] for key in group), strict=True)] for group in groups
        ]

    def __len__(self) -> int:
        return math.prod(map(len, self._steps))

    def __iter__(self) -> Iterator[Assignment]:
        return (self._joined(parts) for parts in itertools.product(*self._steps))

    def draw(self, count: int) -> list[Assignment]:
        """`count` different combinations, drawn evenly; more of them begin with the same ones. Raises UserError."""
        if not 1 <= count <= len(self):
            raise UserError(
                f"--random={count} of {len(self):,} combinations\nexpected a number from 1 to {len(self):,}"
            )
        generator, drawn = random.Random(0), {}
        while len(drawn) < count:
            drawn[tuple(generator.randrange(len(steps)) for steps in self._steps)] = None
        return [self._joined([steps[i] for steps, i in zip(self._steps, places)]) for places in drawn]

    def _joined(self, parts):
        joined = {key: text for part in parts for key, text in part.items()}
        return {key: joined[key] for key in self.keys}


def read_csv(path: str) -> list[Assignment]:
    """One assignment a row; the head names the keys. Raises UserError for a file that cannot be read so."""
    expected = "expected a CSV: a head of config keys, a row a run"
    try:
        head, *rows = [row for row in csv.reader(pathlib.Path(path).read_text("utf-8-sig").splitlines()) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path!r} cannot be read: {error}\n{expected}") from None
    keys = [key.strip() for key in head]
    if not rows or len(set(keys)) < len(keys):
        raise UserError(f"{path!r} {'names a key twice' if rows else 'has no row below its head'}\n{expected}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(keys) or not all(map(str.strip, row)):
            raise UserError(f"{path!r}, row {number}: {row}\nexpected a value for each of: {', '.join(keys)}")
    return [dict(zip(keys, map(str.strip, row))) for row in rows]


def assignments(
    texts: Sequence[str],
    proposed: Mapping[str, str] | None = None,
    zipped: Sequence[str] = (),
    path: str = "",
    count: int | None = None,
    most: int = 10_000,
) -> list[Assignment]:
    """The runs that "KEY=VALUES" texts span, those `proposed` where there are no texts, or those in the CSV at `path`.

    count: how many to draw of the combinations (None: all); most: more runs are refused. Raises UserError.
    """
    if path and (texts or zipped or count is not None):
        raise UserError("--csv lists the runs, and --axis, --zip or --random would make others\nexpected one of them")
    if not path and not (texts or proposed):
        raise UserError(f"no axis, and the config file has no sweep()\nexpected --axis=KEY=VALUES: {FORMS}")
    if path:
        found = read_csv(path)
        _check_count(len(found), most)
        return found
    parsed = [parse(text) for text in texts or (f"{key}={values}" for key, values in proposed.items())]
    keys = [key for key, _ in parsed]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"two axes of {key!r}\nexpected one, with all its values")
    grid = Grid(dict(parsed), zipped)
    _check_count(len(grid) if count is None else count, most)
    return list(grid) if count is None else grid.draw(count)


def _check_count(count, most):
    if count > most:
        raise UserError(f"{count:,} runs, and --max_runs={most}\nexpected fewer, or a greater --max_runs")
