"""What a model makes of noise: it answers in the only terms that it has learned."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """ "noise" [N, *input shape], uniform in [0, 1] and shaped as what the model reads, and the model's "answer"
    [N, *shape], clipped to [0, 1].

    Raises UserError for data that are no images.
    """
    queries.at_least(1, count=count)
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'from_noise' needs images, and these data are {model.spec.shape}\ntry --figures=curves"
        )

    def per_example(variables, batch, key):
        key_noise, key_code = jax.random.split(key)
        noise = jax.random.uniform(key_noise, batch["inputs"].shape)
        mean = model.apply(variables, {**batch, "inputs": noise}, rngs={"latent": key_code}).likelihood.mean[0]
        return {"noise": noise, "answer": mean.clip(0, 1)}

    found = queries.gather(per_example, variables, data.test, key, count)
    return {**found, "limits": np.array([0, 1], np.float32)}


@style.styled
def figure(arrays):
    """One column a draw."""
    return style.grid([arrays["noise"], arrays["answer"]], arrays["limits"], row_labels=["noise", "answer"])
