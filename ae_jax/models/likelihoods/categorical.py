"""Events or tokens, each one of `spec.levels` classes, from logits."""

from ae_jax.core.distributions import Categorical
from ae_jax.core.errors import UserError
from ae_jax.models import likelihoods


class Likelihood(likelihoods.Likelihood):
    """Map logits to a Categorical distribution of every value of x.

    Args:
      spec: the shape and kind of one example; its kind must be "events" or "tokens".

    Raises:
      UserError: if the examples are of another kind.
    """

    def __post_init__(self):
        """Check the kind of the data."""
        if self.spec.kind not in ("events", "tokens"):
            raise UserError(
                f"model.likelihood='categorical' cannot explain {self.spec.kind}\n"
                "expected events or tokens, such as data.name=melodies_2bar or data.source=codes"
            )
        super().__post_init__()

    @property
    def support(self) -> tuple[int, int]:
        """Return the least and the greatest value of x that has a likelihood."""
        return 0, self.spec.levels - 1

    @property
    def output_shape(self):
        """Return the shape of the decoder's outputs for one example, (*shape, levels)."""
        return (*self.spec.shape, self.spec.levels)

    def __call__(self, outputs, batch, train: bool = False) -> Categorical:
        """Return the distribution over x, batch shape [S, B].

        Args:
          outputs: logits [S, B, ...] of which the trailing axes have as many elements as (*shape, levels).
          batch: not read.
          train: not read.
        """
        logits = outputs.reshape(*outputs.shape[:2], *self.spec.shape, self.spec.levels)
        return Categorical(logits, event_ndims=len(self.spec.shape))
