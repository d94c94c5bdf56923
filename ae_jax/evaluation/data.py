"""What a metric or a figure may read of the data, opened when it is first read."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.data.batching import Batches


@dataclasses.dataclass(frozen=True)
class EvalData:
    """The data of an evaluation. Each field is made when it is first read, and kept.

    Args:
      makers: {name of a field: function that makes it}.
    """

    makers: Mapping[str, Callable[[], Any]]

    @classmethod
    def of(cls, **fields: Any) -> "EvalData":
        """Make one from the fields themselves."""
        return cls({name: functools.partial(_identity, value) for name, value in fields.items()})

    def replace(self, **fields: Any) -> "EvalData":
        """Return a copy with these fields in place of its own; the others are still made once for both."""
        mine = {name: functools.partial(getattr, self, name) for name in self.makers}
        return EvalData({**mine, **EvalData.of(**fields).makers})

    def opened(self, field: str) -> bool:
        """Return whether this field was read."""
        return field in self.__dict__

    @functools.cached_property
    def train(self) -> Batches:
        """Prepared batches of the training split, cut to the limit that was asked for."""
        return self._make("train")

    @functools.cached_property
    def test(self) -> Batches:
        """Prepared batches of the split that is evaluated, whatever its name."""
        return self._make("test")

    @functools.cached_property
    def corpus(self) -> Batches:
        """Prepared batches of the training split, whatever the limit."""
        return self._make("corpus")

    @functools.cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl so far."""
        return self._make("metrics")

    @functools.cached_property
    def open_run(self) -> Callable[[str], tuple[Any, Any, "EvalData"]]:
        """The function run directory -> (model, variables, EvalData) of another run, with the same split and limit."""
        return self._make("open_run")

    @functools.cached_property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of what the model reads: that of the data, or smaller for super-resolution."""
        return self._make("input_shape")

    def _make(self, field: str) -> Any:
        if field not in self.makers:
            raise UserError(f"there is no {field!r} to read here\nexpected the data of a trained run")
        return self.makers[field]()


def _identity(value: Any) -> Any:
    return value
