"""Which checkpoints of a run are kept: the newest, and the best by a criterion."""

import dataclasses
import math
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Policy:
    """Which checkpoints are kept, of those with these `scores`, {step: value of the criterion or None}, in order.

    criterion: name of the metric by which the best is kept beside the newest `keep`; direction: "max" or "min".
    """

    keep: int = 1
    criterion: str | None = None
    direction: str = "max"

    def score(self, metrics: Mapping[str, float] | None) -> float | None:
        """The criterion among these metrics, where it is there and finite."""
        if metrics is None or self.criterion is None:
            return None
        value = metrics.get(self.criterion, math.nan)
        return value if math.isfinite(value) else None

    def best(self, scores: Mapping[int, float | None]) -> int | None:
        """The step of the best score, the first of several."""
        scored = {step: self._sign * score for step, score in scores.items() if score is not None}
        return max(scored, key=lambda step: scored[step], default=None)

    def is_best(self, metrics: Mapping[str, float], scores: Mapping[int, float | None]) -> bool:
        """Whether these metrics beat every one of the scores."""
        if self.criterion is None or self.criterion not in metrics:
            return False
        value = metrics[self.criterion]
        return all(self._sign * (value - score) > 0 for score in scores.values() if score is not None)

    def kept(self, scores: Mapping[int, float | None]) -> dict[int, float | None]:
        """The scores of the checkpoints to keep."""
        keep = (*list(scores)[-self.keep :], self.best(scores))
        return {step: score for step, score in scores.items() if step in keep}

    @property
    def _sign(self) -> int:
        return 1 if self.direction == "max" else -1
