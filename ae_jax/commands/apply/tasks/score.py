"""Score the user's examples: how well the model explains each, and which are outliers."""

from typing import Any

import numpy as np

from ae_jax.commands.apply import outliers, shared
from ae_jax.core.errors import UserError
from ae_jax.evaluation import scores
from ae_jax.experiments import batched, using
from ae_jax.experiments.analysis import Trained

# The columns of scores.csv in their order, where the model has them.
_COLUMNS = ("mse", "reconstruction", "kl", "elbo", "nll", "nll_se")


def run(
    trained: Trained,
    source: str,
    key: Any,
    *,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
    score: str = "",
    threshold: str = "",
    samples: int = 10,
    nll_samples: int = 0,
    features: bool = False,
) -> shared.Result:
    """Score examples. They are prepared as in training, but nothing corrupts them.

    Args:
      trained: the opened run.
      source: the examples, as `userfiles.read_examples` reads them; "" for those of the run's own split.
      key: the random key of all that is drawn.
      resize: whether images of another size are stretched to the model's, and coloured ones made grey for a model of
        grey ones.
      label: classes for a conditional model, taken in turn. By default it is given the labels of an .npz.
      batch_size: examples per device call.
      track: the voice of a MIDI file, numbered as in the list that is printed where there are several.
      start_bar: the first bar of a MIDI file that is read, counted from 1 as if all were of 4/4. By default the file is
        read from beginning to end, in pieces.
      score: the column by which outliers are flagged: elbo, mse, nll, reconstruction or kl. By default elbo, or mse for
        a model without a prior.
      threshold: the rule that flags outliers: quantile:0.95 or mad of the training scores, or contamination:0.05 for
        this share of the scored examples.
      samples: how many latents are drawn from the posterior of each example.
      nll_samples: how many importance samples estimate -log p(x) of each example; 0 for no column nll.
      features: whether the squared error of each number of an example gets a column.

    Returns:
      scores.csv, a line for each example with file or row, label, mse (of the reconstruction at the posterior mean),
      reconstruction, kl and elbo in nats; nll with nll_se; outlier, 0 or 1; and error_... of each number.
    """
    # Mistakes are found before the examples are read and scored.
    if threshold:
        outliers.check(threshold)
    if score == "nll" and not nll_samples:
        raise UserError("--score=nll needs an estimate of -log p(x)\nuse it with --nll_samples=1000")
    examples = shared.read_uncorrupted(trained, source, resize, track, start_bar)
    options = {"samples": samples, "nll_samples": nll_samples, "key": key, "batch_size": batch_size}
    given = shared.label_for(trained, label, examples.label)
    found = using.score(trained, examples.inputs, features=features, label=given, **options)
    columns = {name: found[name] for name in _COLUMNS if name in found}
    anomaly = scores.anomaly(columns, score)
    # Nine digits give back every float32.
    texts = {name: [f"{value:.9g}" for value in values] for name, values in columns.items()}
    if threshold:
        training = _training_scores(trained, threshold, score, **options)
        texts["outlier"] = [str(int(each)) for each in outliers.flagged(threshold, anomaly, training)]
    if features:
        texts |= _errors(found, trained.spec.features)
    table = {"file": examples.names, **shared.label_column(trained, examples.label), **texts}
    rows = [list(table), *(list(row) for row in zip(*table.values(), strict=True))]
    return shared.Result({"scores.csv": rows}, examples.originals, examples.unreadable)


def _training_scores(trained: Trained, threshold: str, score: str, **options: Any) -> np.ndarray | None:
    """Return scores [N] of the training examples; None for a rule that does not read them."""
    if not outliers.reads_training_scores(threshold):
        return None
    arrays = trained.splits["train"]
    # A conditional model reads the training examples' own labels, whatever --label says of the user's.
    labels = batched.by_name(trained, arrays.get("label")) if trained.model.reads_label else None
    x = batched.in_own_units(trained, np.asarray(arrays["x"]))
    return scores.anomaly(using.score(trained, x, label=labels, **options), score)


def _errors(found: dict[str, np.ndarray], names: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return {"error_I_J_..." or "error_NAME": texts [N]}, the squared error of each number."""
    if "errors" not in found:
        raise UserError("--features is for examples that are numbers, and for models with latents\nleave it out")
    errors = found["errors"]
    columns = {}
    for place in np.ndindex(errors.shape[1:]):
        values = errors[(slice(None), *place)]
        parts = [names[place[0]]] if names and len(place) == 1 else map(str, place)
        columns["_".join(["error", *parts])] = [f"{value:.9g}" for value in values]
    return columns
