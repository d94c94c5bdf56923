"""The data that metrics and figures read. Each field is opened when it is first read."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.data.batching import Batches


@dataclasses.dataclass(frozen=True)
class EvalData:
    """The data of an evaluation. Each field is made when it is first read, and then kept.

    Metrics and figures that need no data, such as samples from the prior, therefore work where the data are missing.

    Args:
      makers: {name of a field: function that makes it}.
    """

    makers: Mapping[str, Callable[[], Any]]

    @classmethod
    def of(cls, **fields: Any) -> "EvalData":
        """Make the data of an evaluation from fields that exist already."""
        return cls({name: functools.partial(_identity, value) for name, value in fields.items()})

    def replace(self, **fields: Any) -> "EvalData":
        """Return a copy with other values of some fields.

        The remaining fields are still made only once, for the original and the copy together.
        """
        mine = {name: functools.partial(getattr, self, name) for name in self.makers}
        return EvalData({**mine, **EvalData.of(**fields).makers})

    def opened(self, field: str) -> bool:
        """Return whether this field was read."""
        return field in self.__dict__

    @functools.cached_property
    def train(self) -> Batches:
        """Return prepared batches of the training split, at most --limit examples."""
        return self._make("train")

    @functools.cached_property
    def test(self) -> Batches:
        """Return prepared batches of the split that --split names, which need not be the test split."""
        return self._make("test")

    @functools.cached_property
    def corpus(self) -> Batches:
        """Return prepared batches of the whole training split, whatever --limit is."""
        return self._make("corpus")

    @functools.cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl so far."""
        return self._make("metrics")

    @functools.cached_property
    def open_run(self) -> Callable[[str], Any]:
        """Return the function that opens another run, with the same split and limit.

        It takes a run directory and returns an `ae_jax.experiments.analysis.Trained`, which has `model`, `variables`,
        `data` and `digest`.
        """
        return self._make("open_run")

    @functools.cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one input of the model.

        For super-resolution it is smaller than the shape of an example.
        """
        return self._make("input_shape")

    def _make(self, field: str) -> Any:
        if field not in self.makers:
            raise UserError(
                f"this evaluation has no {field!r}\nuse the data of a trained run, or EvalData.of({field}=...)"
            )
        return self.makers[field]()


def _identity(value: Any) -> Any:
    return value
