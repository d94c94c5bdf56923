"""The training loss itself, as the last line of the training metrics has it: a mean over the last window of steps."""

from ae_jax.core.errors import UserError

BETTER = {"training_loss": "min", "training_reconstruction": "min", "training_kl": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """The loss and its terms in nats per example, running means since the line before. Raises UserError without one."""
    lines = [line for line in data.metrics if line["split"] == "train"]
    if not lines:
        raise UserError(
            "metric 'training' needs the run's metrics.jsonl, and it has no line of training\ntry --metrics=elbo"
        )
    names = {name.removeprefix("training_"): name for name in BETTER}
    return {name: lines[-1][key] for key, name in names.items() if key in lines[-1]}
