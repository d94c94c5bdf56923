"""Reconstruction of melodies: with teacher forcing, or free running from q(z|x).

Free running, the decoder writes either the most probable events (argmax) or events drawn from its softmax. Magenta's
MusicVAE draws them, at temperature 1.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl
from ae_jax.data.music import scores
from ae_jax.evaluation import gather, requirements

_OF_GREEDY = ("accuracy", "note_f1", "onset_f1", "onset_pitch_accuracy")
BETTER = {f"{name}_argmax": "max" for name in _OF_GREEDY}
BETTER |= {"accuracy_teacher_forced": "max", "accuracy_argmax_train": "max", "note_f1_argmax_train": "max"}
BETTER |= {f"{name}_temperature_1": "max" for name in _OF_GREEDY}
BETTER |= {"kl_bits": "min", "kl_bits_train": "min"}
MAIN = ("accuracy_argmax", "note_f1_argmax", "accuracy_teacher_forced", "kl_bits")


def evaluate(model, variables, data, key, *, temperature: float = 1.0, train: int = 2000) -> dict[str, float]:
    """Score the melodies that the model writes from the latents of melodies.

    The scores are those of `ae_jax.data.music.scores`.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      temperature: the temperature of the softmax from which events are drawn a second time; 0 for no such scores.
      train: about how many training examples are scored beside the split. They are evenly spread, and not transposed.

    Returns:
      Means over the examples:

      - SCORE_argmax: each score, free running, of the most probable events.
      - SCORE_temperature_T: each score, free running, of events that are drawn at the temperature T.
      - accuracy_argmax_bar_01, ...: the accuracy in each bar, if there are more than two bars.
      - accuracy_teacher_forced: the share of events that are the most probable given the true events before them.
      - SCORE_argmax_train: accuracy and note F1 on training examples.
      - SCORE_BASELINE: each score of the rules of `scores.baselines`, counted on the training examples.
      - kl_bits, kl_bits_train: KL(q(z|x) || p(z)) in bits.

    Raises:
      UserError: for a model that does not write melodies, or a temperature that is negative or not finite.
    """
    requirements.at_least(1, melodies_train=train)
    if not 0 <= temperature < math.inf:
        raise UserError(
            f"--melodies_temperature is {temperature}\nuse a number above 0, or 0 for the most probable events alone"
        )
    if not model.says("write"):
        raise UserError("metric 'melodies' needs a model that writes melodies\nuse --metrics=elbo, or configs/music_*")
    compute = gather.compiled(_written, model, temperature=0.0)
    found = gather.gather(compute, variables, data.test, key)
    truth, written = found["truth"].astype(int), found["written"].astype(int)
    result = _named(scores.scores(written, truth), "argmax")
    result |= gather.mean_with_error("accuracy_teacher_forced", found["teacher_forced"])
    result |= gather.mean_with_error("kl_bits", found["kl"] / math.log(2))
    result |= _accuracy_by_bar(written == truth, model.spec.bar)
    if temperature:
        drawing = gather.compiled(_written, model, temperature=temperature)
        drawn = gather.gather(drawing, variables, data.test, key)["written"].astype(int)
        result |= _named(scores.scores(drawn, truth), f"temperature_{temperature:g}")
    seen = gather.gather(compute, variables, data.train.spread(train)[0], key)
    own = scores.scores(seen["written"].astype(int), seen["truth"].astype(int))
    result["kl_bits_train"] = float(seen["kl"].mean() / math.log(2))
    result |= {f"{score}_argmax_train": value for score, value in _means(own).items() if score in _OF_GREEDY[:2]}
    training = np.asarray(data.train.arrays["x"])
    for rule, grids in scores.baselines(training, truth).items():
        result |= {f"{score}_{rule}": value for score, value in _means(scores.scores(grids, truth)).items()}
    return result


def _written(model, variables, batch, key, temperature):
    """Return true and written events [B, T], teacher-forced accuracy [B] and KL divergence [B]."""
    outputs = model.apply(variables, batch, rngs={"latent": key})
    z = outputs.latents[-1].sample[0]
    # A key of its own: with the one of the latent, events would be drawn from the noise of the latent.
    drawing = {"sampling": jax.random.fold_in(key, 1)}
    written = model.apply(variables, z, temperature, method="write", rngs=drawing)
    return {
        "truth": batch["x"],
        "written": written,
        "teacher_forced": jnp.mean(outputs.likelihood.mode[0] == batch["x"], axis=1),
        "kl": kl(outputs.latents[-1]),
    }


def _accuracy_by_bar(same: np.ndarray, bar: int) -> dict[str, float]:
    """Return the accuracy in each bar, or nothing for one or two bars.

    Args:
      same: whether each event is right [N, T].
      bar: the number of events in a bar.
    """
    bars = same.shape[1] // bar
    if bars <= 2:
        return {}
    means = same[:, : bars * bar].reshape(len(same), bars, bar).mean(axis=(0, 2))
    return {f"accuracy_argmax_bar_{number:02d}": float(value) for number, value in enumerate(means, 1)}


def _named(values, name):
    """Average scores {score: [N]}: {score_NAME: mean, score_NAME_se: standard error}."""
    result = {}
    for score, each in values.items():
        result |= gather.mean_with_error(f"{score}_{name}", _defined(each))
    return result


def _means(values):
    """Average scores {score: [N]}: {score: mean}."""
    return {score: float(_defined(each).mean()) for score, each in values.items()}


def _defined(values):
    """Return the values [N] that are not NaN, or a single zero if all are."""
    known = values[~np.isnan(values)]
    # The share of right pitches is undefined where no onset is right; then no pitch is right either.
    return known if len(known) else np.zeros(1)
