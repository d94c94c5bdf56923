"""Events, each one of `spec.levels` classes, from logits."""

from ae_jax.core.distributions import Categorical
from ae_jax.core.errors import UserError
from ae_jax.models import likelihoods


class Likelihood(likelihoods.Likelihood):
    """Decoder outputs [S, B, *shape, levels], or as many laid out otherwise, are the logits of each value in turn."""

    def __post_init__(self):
        if self.spec.kind not in ("events", "tokens"):
            raise UserError(
                f"model.likelihood='categorical' of {self.spec.kind}\n"
                "expected events or tokens, such as data.name=melodies_2bar or data.source=codes"
            )
        super().__post_init__()

    @property
    def support(self) -> tuple[int, int]:
        return 0, self.spec.levels - 1

    @property
    def output_shape(self):
        return (*self.spec.shape, self.spec.levels)

    def __call__(self, outputs, batch, train: bool = False) -> Categorical:
        logits = outputs.reshape(*outputs.shape[:2], *self.spec.shape, self.spec.levels)
        return Categorical(logits, event_ndims=len(self.spec.shape))
