"""The training loss, as the last line of the training metrics has it."""

from ae_jax.core.errors import UserError

_TERMS = ("loss", "reconstruction", "kl", "commitment", "codebook")
BETTER = {f"training_{term}": "min" for term in _TERMS}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Return the training loss and its terms.

    They are means over the steps between the last two lines of training in metrics.jsonl.

    Returns:
      "training_loss", "training_reconstruction" and "training_kl" in nats per example, and for a quantizer
      "training_commitment" and "training_codebook", as far as they were logged.

    Raises:
      UserError: if metrics.jsonl has no line of training.
    """
    lines = [line for line in data.metrics if line["split"] == "train"]
    if not lines:
        raise UserError(
            "metric 'training' needs the run's metrics.jsonl, and it has no line of training\nuse --metrics=elbo"
        )
    names = {name.removeprefix("training_"): name for name in BETTER}
    return {name: lines[-1][key] for key, name in names.items() if key in lines[-1]}
