"""How much of a melody comes back: told the true events before each, or fed its own, from a code drawn of q(z|x)."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl
from ae_jax.data.music import scores
from ae_jax.data.music.events import STEPS
from ae_jax.evaluation import gather, requirements

_OF_GREEDY = ("accuracy", "note_f1", "onset_f1", "onset_pitch_accuracy")
BETTER = {f"{name}_argmax": "max" for name in _OF_GREEDY}
BETTER |= {"accuracy_teacher_forced": "max", "accuracy_argmax_train": "max", "note_f1_argmax_train": "max"}
BETTER |= {"kl_bits": "min", "kl_bits_train": "min"}


def evaluate(model, variables, data, key, *, temperature: float = 0.0, train: int = 2000) -> dict[str, float]:
    """The scores of `music.scores` of the melodies that the model writes, NAME_argmax; with a `temperature`, of those
    that it draws at it, NAME_temperature_T. Further:

    accuracy_argmax_bar_01      ...of each bar, where there are more than two
    accuracy_teacher_forced     share of the events that are the most probable given the true ones before them
    NAME_argmax_train           the same of about `train` training examples, taken evenly, not transposed
    NAME_BASELINE               of the rules of `music.scores.baselines`, counted on the training examples
    kl_bits, kl_bits_train      KL(q(z|x) || p(z))

    All are means over the examples. Raises UserError for a model that does not write melodies, or no temperature.
    """
    requirements.at_least(1, melodies_train=train)
    if not 0 <= temperature < math.inf:
        raise UserError(f"--melodies_temperature={temperature}\nexpected a number from 0, the likeliest events, on")
    if not model.says("write"):
        raise UserError("metric 'melodies' needs a model that writes melodies\ntry --metrics=elbo, or configs/music_*")
    name = f"temperature_{temperature:g}" if temperature else "argmax"
    compute = gather.compiled(_written, model, temperature=temperature)
    found = gather.gather(compute, variables, data.test, key)
    truth, written = found["truth"].astype(int), found["written"].astype(int)
    result = _named(scores.scores(written, truth), name)
    result |= gather.mean_with_error("accuracy_teacher_forced", found["teacher_forced"])
    result |= gather.mean_with_error("kl_bits", found["kl"] / math.log(2))
    if (bars := truth.shape[1] // STEPS) > 2:
        same = (written == truth)[:, : bars * STEPS].reshape(len(truth), bars, STEPS).mean(axis=(0, 2))
        result |= {f"accuracy_{name}_bar_{bar:02d}": float(value) for bar, value in enumerate(same, 1)}
    seen = gather.gather(compute, variables, data.train.spread(train)[0], key)
    own = scores.scores(seen["written"].astype(int), seen["truth"].astype(int))
    result["kl_bits_train"] = float(seen["kl"].mean() / math.log(2))
    result |= {f"{score}_{name}_train": value for score, value in _means(own).items() if score in _OF_GREEDY[:2]}
    training = np.asarray(data.train.arrays["x"])
    for rule, grids in scores.baselines(training, truth).items():
        result |= {f"{score}_{rule}": value for score, value in _means(scores.scores(grids, truth)).items()}
    return result


def _written(model, variables, batch, key, temperature):
    outputs = model.apply(variables, batch, rngs={"latent": key})
    z = outputs.latents[-1].sample[0]
    drawing = {"sampling": jax.random.fold_in(key, 1)}
    written = model.apply(variables, z, temperature, method="write", rngs=drawing)
    return {
        "truth": batch["x"],
        "written": written,
        "teacher_forced": jnp.mean(outputs.likelihood.mode[0] == batch["x"], axis=1),
        "kl": kl(outputs.latents[-1]),
    }


def _named(values, name):
    """Means of scores {score: [N]}, and their errors, as {score_NAME: mean, score_NAME_se: .}."""
    parts = [gather.mean_with_error(f"{score}_{name}", _defined(each)) for score, each in values.items()]
    return {key: value for part in parts for key, value in part.items()}


def _means(values):
    """{score: mean}."""
    return {score: float(_defined(each).mean()) for score, each in values.items()}


def _defined(values):
    """The values [N] that are no NaN; a single zero where there are none: no pitch is right where no onset is."""
    known = values[~np.isnan(values)]
    return known if len(known) else np.zeros(1)
