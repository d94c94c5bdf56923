"""The use of a codebook: its perplexity, and the share of its entries that occur."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import compiled, gather

BETTER = {
    "codebook_perplexity": "max",
    "codebook_usage": "max",
    "codebook_dead": "min",
    "codebook_entropy_bits": "max",
}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Count how often each entry of the codebook occurs among all codes of the split.

    A batch alone would bound the perplexity by its number of codes.

    Returns:
      "codebook_entropy_bits", the entropy of the distribution of entries; "codebook_perplexity", two to its power;
      "codebook_usage", the share of entries that occur; "codebook_dead", the number of those that do not. Where codes
      have several levels, each with a codebook, these are means over the levels, and NAME_1, NAME_2, ... are those of
      each level.

    Raises:
      UserError: for a latent that is not discrete.
    """
    counts = usage(model, variables, data, key)
    levels = [_scores(each) for each in counts]
    names = levels[0].keys()
    found = {name: float(np.mean([level[name] for level in levels])) for name in names}
    if len(levels) > 1:
        found |= {f"{name}_{number}": level[name] for number, level in enumerate(levels, 1) for name in names}
    return found


def usage(model, variables, data, key) -> np.ndarray:
    """Return the counts [levels, K], int, of each entry among the codes of the evaluated split.

    Raises:
      UserError: for a latent that is not discrete.
    """
    indices = gather(compiled(of_batch, model), variables, data.test, key)["indices"]
    columns = indices.reshape(-1, model.codebooks).T
    return np.stack([np.bincount(column, minlength=model.code_spec.levels) for column in columns])


def of_batch(model, variables, batch, key):
    """Return {"indices": int32 [B, *code_spec.shape]} of a batch.

    Raises:
      UserError: for a latent that is not discrete.
    """
    latents = model.apply(variables, batch, method="encode", rngs={"latent": key})
    if not latents or latents[-1].indices is None:
        raise UserError("this model's latent is not discrete, so it has no codebook\nuse a run of configs/vq_vae.py")
    return {"indices": latents[-1].indices[0]}


def _scores(counts: np.ndarray) -> dict[str, float]:
    """Return the scores of one codebook from the counts [K] of its entries."""
    shares = counts[counts > 0] / counts.sum()
    entropy = float(-(shares * np.log2(shares)).sum())
    return {
        "codebook_entropy_bits": entropy,
        "codebook_perplexity": 2**entropy,
        "codebook_usage": float((counts > 0).mean()),
        "codebook_dead": float((counts == 0).sum()),
    }
