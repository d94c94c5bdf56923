"""The same network under different losses, side by side: what each keeps and loses."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import comparable
from ae_jax.evaluation.metrics import bce, mae, mse
from ae_jax.plots import queries, style

_SCORES = ("bce_nats_per_pixel", "mse_per_pixel", "mae_per_pixel")


def arrays(model, variables, data, key, *, runs: tuple = (), count: int = 10) -> dict[str, np.ndarray]:
    """The first `count` examples, "original" [N, *shape]; their "reconstruction" [R, N, *shape] by this run and the
    other `runs`; over the whole test split "bce_nats_per_pixel", "mse_per_pixel" and "mae_per_pixel" [R]; "names" [R].

    Raises UserError for data that are not pixels, and where one model cannot read what another does.
    """
    queries.at_least(1, count=count)
    if model.spec.kind != "pixels":
        raise UserError(f"figure 'loss_comparison' needs pixels, and these are {model.spec.kind}\ntry --figures=curves")
    found, scores = [], []
    others = comparable.opened(data, runs, model.spec, data.input_shape)
    for other_model, other_variables, _ in [(model, variables, data), *others]:

        def per_example(variables, batch, key, model=other_model):
            mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
            return {"original": batch["x"], "reconstruction": mean}

        found.append(queries.gather(per_example, other_variables, data.test, key, count))
        given = other_model, other_variables, data, key
        scores.append(bce.evaluate(*given) | mse.evaluate(*given) | mae.evaluate(*given))
    original = found[0]["original"]
    return {
        "original": original,
        "reconstruction": np.stack([each["reconstruction"] for each in found]),
        **{name: np.array([each[name] for each in scores]) for name in _SCORES},
        "names": np.array(comparable.names(runs)),
        "limits": style.limits(model.spec, original),
    }


@style.styled
def figure(arrays):
    """A row a run, with its three numbers."""
    numbers = zip(*(arrays[name] for name in _SCORES), strict=True)
    scores = ["\nBCE {:.4f} MSE {:.4f} MAE {:.4f}".format(*of_run) for of_run in numbers]
    labels = ["original", *(f"{name}{score}" for name, score in zip(arrays["names"], scores, strict=True))]
    return style.grid([arrays["original"], *arrays["reconstruction"]], arrays["limits"], row_labels=labels)
