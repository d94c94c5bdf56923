"""The same network under different losses, side by side: what each keeps and loses."""

import numpy as np

from ae_jax import comparable, figures, plots
from ae_jax.errors import UserError


def arrays(model, variables, data, key, *, runs: tuple = (), count: int = 10) -> dict[str, np.ndarray]:
    """The first `count` examples, "original" [N, *shape]; their "reconstruction" [R, N, *shape] by this run and the
    other `runs`; over the whole test split "bce_nats_per_pixel", "mse_per_pixel" and "mae_per_pixel" [R]; "names" [R].

    Raises UserError for data that are not pixels, and where one model cannot read what another does.
    """
    plots.at_least(1, count=count)
    if model.spec.kind != "pixels":
        raise UserError(f"figure 'loss_comparison' needs pixels, and these are {model.spec.kind}\ntry --figures=curves")
    found, errors = [], []
    others = comparable.opened(data, runs, model.spec, data["input_shape"])
    for other_model, other_variables, _ in [(model, variables, data), *others]:

        def per_example(variables, batch, key, model=other_model):
            mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
            return {"original": batch["x"], "reconstruction": mean}

        gathered = plots.gather(per_example, other_variables, data["test"], key, data["test"].num_examples)
        x, mean = gathered["original"], gathered["reconstruction"]
        inside = np.clip(mean, 1e-7, 1 - 1e-7)
        nats = -(x * np.log(inside) + (1 - x) * np.log1p(-inside)).mean(dtype=np.float64)
        errors.append((nats, np.square(x - mean).mean(dtype=np.float64), np.abs(x - mean).mean(dtype=np.float64)))
        found.append(mean[:count])
    names = ("bce_nats_per_pixel", "mse_per_pixel", "mae_per_pixel")
    numbers = dict(zip(names, np.array(errors).T, strict=True))
    runs = np.array(comparable.names(runs))
    limits = figures.limits(model.spec, x)
    return {"original": x[:count], "reconstruction": np.stack(found), **numbers, "names": runs, "limits": limits}


@figures.styled
def figure(arrays):
    """A row a run, with its three numbers."""
    numbers = zip(arrays["bce_nats_per_pixel"], arrays["mse_per_pixel"], arrays["mae_per_pixel"], strict=True)
    scores = [f"\nBCE {bce:.4f} MSE {mse:.4f} MAE {mae:.4f}" for bce, mse, mae in numbers]
    labels = ["original", *(f"{name}{score}" for name, score in zip(arrays["names"], scores, strict=True))]
    return figures.grid([arrays["original"], *arrays["reconstruction"]], arrays["limits"], row_labels=labels)
