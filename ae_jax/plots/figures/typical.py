"""The most and the least typical examples by their scores, with their reconstructions."""

import numpy as np

from ae_jax.core.distributions import centre
from ae_jax.evaluation import detection, requirements, scores
from ae_jax.evaluation.gather import compiled, gather
from ae_jax.plots import style


def arrays(
    model, variables, data, key, *, score: str = "", count: int = 10, samples: int = 10
) -> dict[str, np.ndarray]:
    """Score the examples of the split, and reconstruct those at both ends.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      score: elbo, mse, reconstruction or kl. By default elbo, or mse for a model without a prior.
      count: how many examples are shown of each end.
      samples: how many latents are drawn from the posterior of each example.

    Returns:
      "most", "most_reconstructed", "least" and "least_reconstructed" [count, *shape], the most and the least typical
      examples first; "most_scores" and "least_scores" [count]; "most_numbers" and "least_numbers" [count], their places
      in the split; "name", that of the score; and "limits".
    """
    requirements.at_least(1, typical_count=count, typical_samples=samples)
    found, _ = scores.of_batches(model, variables, data.test, key, samples)
    name = score or scores.default(found)
    # One order for both ends, so that no example is shown at both unless there are too few.
    order = detection.most_anomalous(scores.anomaly(found, name), len(found[name]))
    ends = {"least": order[:count], "most": order[::-1][:count]}
    drawn = {"name": np.array(name)}
    for end, numbers in ends.items():
        pair = gather(compiled(_pair, model), variables, data.test.only(numbers), key)
        drawn |= {end: pair["x"], f"{end}_reconstructed": pair["reconstruction"]}
        drawn |= {f"{end}_scores": found[name][numbers], f"{end}_numbers": numbers}
    return {**drawn, "limits": style.limits(model.spec, drawn["most"], drawn["least"])}


def _pair(model, variables, batch, key):
    """Return examples, and the centres of their likelihoods at the posterior means."""
    outputs = model.apply(variables, batch, rngs={"latent": key})
    if not outputs.latents:
        return {"x": batch["x"], "reconstruction": centre(outputs.likelihood)[0]}
    rest = {name: values for name, values in batch.items() if name != "x"}
    decoded = model.apply(variables, (outputs.code[None],), rest, method="decode")
    return {"x": batch["x"], "reconstruction": centre(decoded)[0]}


@style.styled
def figure(arrays):
    """Draw the most typical examples above the least typical ones, with reconstructions."""
    names = ["most", "most_reconstructed", "least", "least_reconstructed"]
    labels = ["most typical", "reconstructed", "least typical", "reconstructed"]
    return style.grid([arrays[name] for name in names], arrays["limits"], row_labels=labels)
