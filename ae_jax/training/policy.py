"""The policy by which checkpoints are kept: the newest ones, and the best by a criterion."""

import dataclasses
import math
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Policy:
    """Choose the checkpoints to keep by their scores.

    Scores are {step: value of the criterion or None}, in the order of steps.

    Args:
      keep: the number of newest checkpoints to keep.
      criterion: the name of the metric by which the best checkpoint is kept too; None to keep only the newest.
      direction: "max" if greater values of the criterion are better, or "min".
    """

    keep: int = 1
    criterion: str | None = None
    direction: str = "max"

    def score(self, metrics: Mapping[str, float] | None) -> float | None:
        """Return the value of the criterion among these metrics; None if it is absent or not finite."""
        if metrics is None or self.criterion is None:
            return None
        value = metrics.get(self.criterion, math.nan)
        return value if math.isfinite(value) else None

    def best(self, scores: Mapping[int, float | None]) -> int | None:
        """Return the earliest step with the best score; None if there are no scores."""
        scored = {step: self._sign * score for step, score in scores.items() if score is not None}
        return max(scored, key=lambda step: scored[step], default=None)

    def is_best(self, metrics: Mapping[str, float], scores: Mapping[int, float | None]) -> bool:
        """Tell whether these metrics are strictly better than every score.

        Args:
          metrics: the metrics of a new checkpoint.
          scores: {step: score or None} of the checkpoints that exist.
        """
        if self.criterion is None or self.criterion not in metrics:
            return False
        value = metrics[self.criterion]
        return all(self._sign * (value - score) > 0 for score in scores.values() if score is not None)

    def kept(self, scores: Mapping[int, float | None]) -> dict[int, float | None]:
        """Return {step: score} of the checkpoints to keep.

        Args:
          scores: {step: score or None} of the checkpoints that exist, in the order of steps.
        """
        keep = (*list(scores)[-self.keep :], self.best(scores))
        return {step: score for step, score in scores.items() if step in keep}

    @property
    def _sign(self) -> int:
        """Return the factor that makes greater scores better."""
        return 1 if self.direction == "max" else -1
