"""The use of a codebook: the frequency of its entries, from the most frequent on."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation.metrics import codebook
from ae_jax.plots import style


def arrays(model, variables, data, key) -> dict[str, np.ndarray]:
    """Count the entries of the codebook among the codes of the evaluated split.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.

    Returns:
      "share" [levels, K], the share of the codes of each level, in the order of the codebook.

    Raises:
      UserError: for a latent that is not discrete.
    """
    check_is_discrete("codebook_usage", model)
    counts = codebook.usage(model, variables, data, key)
    return {"share": counts / counts.sum(axis=1, keepdims=True)}


def check_is_discrete(figure: str, model) -> None:
    """Raise UserError for a model whose latent is not discrete."""
    if model.code_spec is None or model.code_spec.kind != "tokens":
        raise UserError(
            f"figure {figure!r} needs a discrete latent, and this model's is not\n"
            "use a run of configs/vq_vae.py, or --figures=scatter"
        )


@style.styled
def figure(arrays):
    """Draw a line for each level, and the share of equally frequent entries."""
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes = drawing.subplots()
    shares = np.sort(arrays["share"], axis=1)[:, ::-1]
    for number, (share, colour) in enumerate(zip(shares, style.colours(len(shares)), strict=True), 1):
        axes.step(np.arange(len(share)) + 1, share, where="mid", color=colour, label=f"level {number}")
    axes.axhline(1 / shares.shape[1], color="#666666", linestyle=":", linewidth=0.8)
    axes.set(xlabel="entry, by frequency", ylabel="share of the codes")
    axes.set_xlim(0, shares.shape[1] + 1)
    if len(shares) > 1:
        axes.legend()
    return drawing
