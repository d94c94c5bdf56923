"""Reconstructions by the same network after training with different losses, side by side."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import comparable, requirements
from ae_jax.evaluation.metrics import bce, mae, mse
from ae_jax.plots import queries, style

_SCORES = ("bce_nats_per_pixel", "mse_per_pixel", "mae_per_pixel")


def arrays(model, variables, data, key, *, runs: tuple = (), count: int = 10) -> dict[str, np.ndarray]:
    """Reconstruct the same examples with this run and others, and score all of them.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      runs: directories of other runs to compare with.
      count: how many examples are shown, from the first on.

    Returns:
      "original" [N, *shape]; "reconstruction" [R, N, *shape]; "bce_nats_per_pixel", "mse_per_pixel" and "mae_per_pixel"
      [R], over the whole split; "names" [R], this run first; "limits".

    Raises:
      UserError: for data that are not pixels, or if the models do not read examples or inputs of the same shape.
    """
    requirements.at_least(1, loss_comparison_count=count)
    if model.spec.kind != "pixels":
        raise UserError(
            f"figure 'loss_comparison' needs pixels, and these examples are of kind {model.spec.kind!r}\n"
            "use --figures=curves"
        )
    shown, scores = [], []
    others = comparable.opened(data, runs, model.spec, data.input_shape)
    for its_model, its_variables, _ in [(model, variables, data), *others]:
        shown.append(_reconstructions(its_model, its_variables, data, key, count))
        # Each model is scored on the data of this run.
        given = its_model, its_variables, data, key
        scores.append(bce.evaluate(*given) | mse.evaluate(*given) | mae.evaluate(*given))
    original = shown[0]["original"]
    return {
        "original": original,
        "reconstruction": np.stack([each["reconstruction"] for each in shown]),
        **{name: np.array([each[name] for each in scores]) for name in _SCORES},
        "names": np.array(comparable.names(runs)),
        "limits": style.limits(model.spec, original),
    }


def _reconstructions(model, variables, data, key, count):
    """Return "original" and "reconstruction" [N, *shape] of the first examples."""

    def per_example(variables, batch, key):
        mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
        return {"original": batch["x"], "reconstruction": mean}

    return queries.gather(per_example, variables, data.test, key, count)


@style.styled
def figure(arrays):
    """Draw a row for each run, labelled with its three scores."""
    labels = ["original"]
    for name, *scores in zip(arrays["names"], *(arrays[score] for score in _SCORES), strict=True):
        labels.append("{}\nBCE {:.4f} MSE {:.4f} MAE {:.4f}".format(name, *scores))
    return style.grid([arrays["original"], *arrays["reconstruction"]], arrays["limits"], row_labels=labels)
