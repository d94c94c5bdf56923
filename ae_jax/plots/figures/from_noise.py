"""Reconstructions of noise, which show what a model makes of inputs unlike its data."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """Reconstruct inputs that are uniform noise in [0, 1].

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation, from which labels and shapes are taken.
      key: random key.
      count: how many draws of noise are shown.

    Returns:
      "noise" [N, *input shape]; "answer" [N, *shape], the mean of the likelihood clipped to [0, 1]; "limits".

    Raises:
      UserError: for data that are not images.
    """
    requirements.at_least(1, from_noise_count=count)
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'from_noise' needs images, and these examples have shape {model.spec.shape}\nuse --figures=curves"
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
    """Draw a column for each draw of noise."""
    return style.grid([arrays["noise"], arrays["answer"]], arrays["limits"], row_labels=["noise", "answer"])
