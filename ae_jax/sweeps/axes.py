"""The axes of a sweep, and the runs that several axes span.

An axis is a text such as "weights.kl=1,2,4" or "seed=0:8". Values stay texts until
`ae_jax.experiments.configuration.override` sets them, so an axis is typed like a flag.
"""

import csv
import itertools
import math
import pathlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from ae_jax.core import cells
from ae_jax.core.errors import UserError

Assignment = dict[str, str]  # {config key: text of its value}

FORMS = "1,2,4 or INT:INT[:INT] or lin:A:B:N or log:A:B:N"
# More values than any sweep has runs: a misspelt range must not fill the memory.
_MOST_VALUES = 1_000_000
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "'\""


# --- the values of an axis --------------------------------------------------------------------------------------------


def parse(text: str) -> tuple[str, list[str]]:
    """Parse the text of an axis, "KEY=VALUES".

    Values are separated by commas outside of brackets and quotes. "INT:INT[:INT]" stands for the numbers of Python's
    range, without its end. "lin:A:B:N" stands for N equally spaced numbers from A to B, and "log:A:B:N" for N numbers
    whose logarithms are equally spaced, both to six significant digits. Text in quotes is one value, as it is.

    Args:
      text: the axis.

    Returns:
      (config key, texts of its values).

    Raises:
      UserError: if the text cannot be parsed, or if the axis has no values.
    """
    key, equals, values = text.partition("=")
    if not key.strip() or not equals:
        raise UserError(f"axis {text!r} has no values\nuse KEY=VALUES: {FORMS}")
    parts = _split(values)
    if not all(parts):
        wrong = "is empty" if len(parts) == 1 else "has an empty value"
        raise UserError(f"axis {key!r} {wrong}: {values!r}\nuse values such as {FORMS}")
    found: list[str] = []
    for part in parts:
        found += _values(key, part)
    if not found:
        raise UserError(f"axis {key!r} is empty: {values!r}\nuse values such as {FORMS}")
    return key.strip(), found


def _split(text: str) -> list[str]:
    """Split a text at the commas that stand outside of brackets and quotes."""
    parts, closing, quote = [""], [], ""
    for character in text:
        if quote:
            # Inside quotes only the same quote has a meaning.
            quote = "" if character == quote else quote
        elif character in _QUOTES:
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
        where = "quotes" if quote else "brackets"
        raise UserError(f"{text!r} ends inside {where}\nclose them with {quote or closing[-1]}")
    return [part.strip() for part in parts]


def _values(key: str, part: str) -> Sequence[str]:
    """Return the values that one part of an axis, between two commas, stands for."""
    quote = part[0]
    if quote in _QUOTES and part.find(quote, 1) == len(part) - 1:
        return [part[1:-1]]
    if match := _RANGE.fullmatch(part):
        return _range(key, part, [int(number) for number in match.groups() if number is not None])
    if part.startswith(("lin:", "log:")):
        return _spaced(key, part)
    return [part]


def _range(key: str, part: str, numbers: Sequence[int]) -> list[str]:
    """Return the values of "INT:INT[:INT]"."""
    if len(numbers) == 3 and numbers[2] == 0:
        raise UserError(f"axis {key!r}: {part!r} has a step of 0\nuse INT:INT[:INT] with another step")
    values = range(*numbers)
    _check_length(key, part, len(values))
    return [str(value) for value in values]


def _spaced(key: str, part: str) -> list[str]:
    """Return the values of "lin:A:B:N" or "log:A:B:N"."""
    form, *texts = part.split(":")
    try:
        start, end, count = float(texts[0]), float(texts[1]), int(texts[2])
        valid = len(texts) == 3 and count >= 1 and math.isfinite(start) and math.isfinite(end)
    except (ValueError, IndexError):
        valid = False
    if not valid:
        raise UserError(f"axis {key!r}: {part!r} cannot be read\nuse {form}:A:B:N, two finite numbers and a count")
    if form == "log" and not (start > 0 and end > 0):
        raise UserError(f"axis {key!r}: {part!r} has an end that is not above 0\nuse lin:A:B:N")
    _check_length(key, part, count)
    values = []
    for number in range(count):
        share = number / max(count - 1, 1)
        if form == "lin":
            value = start + (end - start) * share
        else:
            value = start ** (1 - share) * end**share
        values.append(f"{value:.6g}")
    return values


def _check_length(key: str, part: str, count: int) -> None:
    """Raise UserError if a part of an axis stands for too many values to list."""
    if count > _MOST_VALUES:
        raise UserError(f"axis {key!r}: {part!r} is {count:,} values\nuse at most {_MOST_VALUES:,}")


# --- the runs that axes span ------------------------------------------------------------------------------------------


class Grid:
    """Span all combinations of the values of several axes.

    The last axis varies fastest. Zipped axes advance together, at the place of the first of them.
    """

    def __init__(self, axes: Mapping[str, Sequence[str]], zipped: Sequence[str] = ()):
        """Combine axes.

        Args:
          axes: {config key: texts of its values}.
          zipped: the keys of axes that advance together.

        Raises:
          UserError: if a zipped key has no axis, or if zipped axes differ in their numbers of values.
        """
        for key in zipped:
            if key not in axes:
                raise UserError(f"--zip={key} names no axis\nuse one of the axes: {', '.join(axes)}")
        lengths = {key: len(axes[key]) for key in zipped}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise UserError(f"axes of --zip differ in their numbers of values: {listed}\nuse equally many for each")
        self.keys = list(axes)
        # For every place in the grid, the settings that it goes through: of one axis, or of all zipped ones.
        self._steps = []
        together = [key for key in axes if key in zipped]
        for key in axes:
            if key not in zipped:
                self._steps.append([{key: text} for text in axes[key]])
            elif key == together[0]:
                columns = zip(*(axes[other] for other in together), strict=True)
                self._steps.append([dict(zip(together, texts)) for texts in columns])

    def __len__(self) -> int:
        """Return the number of combinations."""
        return math.prod(map(len, self._steps))

    def __iter__(self) -> Iterator[Assignment]:
        """Yield every combination once."""
        return map(self._join, itertools.product(*self._steps))

    def draw(self, count: int) -> list[Assignment]:
        """Draw different combinations, all equally probable; more of them begin with the same ones.

        Args:
          count: number of combinations.

        Raises:
          UserError: if there are fewer combinations.
        """
        if not 1 <= count <= len(self):
            raise UserError(
                f"--random={count}: the axes have {len(self):,} combinations\nuse a number from 1 to {len(self):,}"
            )
        # A fixed seed: the same command plans the same runs, so that a stopped sweep goes on.
        generator = random.Random(0)
        drawn: dict[tuple[int, ...], Assignment] = {}
        while len(drawn) < count:
            places = tuple(generator.randrange(len(steps)) for steps in self._steps)
            drawn[places] = self._join([steps[place] for steps, place in zip(self._steps, places)])
        return list(drawn.values())

    def _join(self, settings: Sequence[Assignment]) -> Assignment:
        """Join the settings of all places, in the order in which the axes were given."""
        joined: Assignment = {}
        for setting in settings:
            joined |= setting
        return {key: joined[key] for key in self.keys}


def read_csv(path: str) -> list[Assignment]:
    """Read the runs of a sweep from a CSV file.

    Args:
      path: a file whose head names config keys, with the values of one run in every other row.

    Raises:
      UserError: if the file cannot be read, names a key twice, or has no rows, or if a row lacks a value.
    """
    remedy = "use a CSV file: a head of config keys, then a row for each run"
    try:
        text = pathlib.Path(path).read_text("utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path!r} cannot be read: {error}\n{remedy}") from None
    if len(rows) < 2:
        raise UserError(f"{path!r} has no row below its head\n{remedy}")
    head, *rows = rows
    keys = [key.strip() for key in head]
    if len(set(keys)) < len(keys):
        raise UserError(f"{path!r} names a key twice\n{remedy}")
    found = []
    for number, row in enumerate(rows, 2):
        values = [cells.unquote(value.strip()) for value in row]
        if len(values) != len(keys) or not all(values):
            raise UserError(f"{path!r}, row {number}: {row}\nuse a value for each of: {', '.join(keys)}")
        found.append(dict(zip(keys, values)))
    return found


def assignments(
    texts: Sequence[str],
    proposed: Mapping[str, str] | None = None,
    zipped: Sequence[str] = (),
    path: str = "",
    count: int | None = None,
    most: int = 10_000,
) -> list[Assignment]:
    """List the runs of a sweep, from its axes or from a CSV file.

    Args:
      texts: axes as "KEY=VALUES".
      proposed: {config key: values} that the config file proposes, for use without `texts`.
      zipped: keys of axes that advance together.
      path: a CSV file that lists the runs, in place of axes, or "".
      count: how many of the combinations to draw, or None for all.
      most: the number of runs above which the sweep is refused.

    Raises:
      UserError: if there are no axes, both axes and a file, two axes of a key, or too many runs, or if a text or the
        file cannot be read.
    """
    if path:
        if texts or zipped or count is not None:
            raise UserError("--csv lists all runs, so --axis, --zip and --random are not allowed\nleave them out")
        found = read_csv(path)
        _check_count(len(found), most)
        return found
    texts = texts or [f"{key}={values}" for key, values in (proposed or {}).items()]
    if not texts:
        raise UserError(f"no axis, and the config file has no sweep()\nuse --axis=KEY=VALUES: {FORMS}")
    axes = {}
    for text in texts:
        key, values = parse(text)
        if key in axes:
            raise UserError(f"two axes of {key!r}\nuse one axis with all its values")
        axes[key] = values
    grid = Grid(axes, zipped)
    # Counted before they are listed: a long list would not fit into memory.
    _check_count(len(grid) if count is None else count, most)
    if count is None:
        return list(grid)
    return grid.draw(count)


def _check_count(count: int, most: int) -> None:
    """Raise UserError if a sweep has too many runs."""
    if count > most:
        raise UserError(f"{count:,} runs, and --max_runs={most}\nuse fewer values, or a greater --max_runs")
