"""What was put into images or codes, and what a model makes of it: figures against closed forms and scikit-image."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
import skimage.metrics
from PIL import Image
from small_plots import KEY, N, arrays, close, decoded, encoded, made

from ae_jax.core import lookup
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.models.likelihoods import gaussian


def prior_of(label):
    """(mean, standard deviation) [..., 2] of p(z|y), by the weights of the conditional model with one."""
    weights = made("conditional", conditional_prior=True)[1]["params"]["p_z_given_y"]
    loc, log_scale = np.split(weights["kernel"][label] + weights["bias"], 2, axis=-1)
    return loc, np.exp(log_scale)


def noise(count, key=KEY):
    """[count, 2]: draws of N(0, I), by the prior that reads no class."""
    model, variables, _ = made("conditional")
    batch = {"mask": np.ones(count), "label": np.zeros(count, int)}
    return np.asarray(model.apply(variables, batch, method="prior_codes", rngs={"latent": key})[0][0])


def test_a_grid_of_classes_has_the_same_noise_in_each_and_the_prior_of_each():
    epsilon, of_prior = noise(3), {"conditional_prior": True}
    plain = arrays("class_grid", "conditional", options={"count": 3})["samples"]
    moved = arrays("class_grid", "conditional", options={"count": 3}, **of_prior)["samples"]
    assert plain.shape == moved.shape == (3, 10, 8, 8, 1)
    for code, label in ((0, 0), (2, 4), (1, 9)):
        close(plain[code, label], decoded("conditional", epsilon[code], label))
        loc, scale = prior_of(label)
        close(moved[code, label], decoded("conditional", loc + scale * epsilon[code], label, **of_prior))


def test_codes_are_shown_beside_draws_of_the_models_own_prior():
    found = arrays("code_and_prior", "conditional", conditional_prior=True)
    close(found["codes"], encoded("conditional", conditional_prior=True)[1])
    np.testing.assert_array_equal(found["label"], np.arange(N) % 10)
    loc, scale = prior_of(np.arange(N) % 10)
    close(found["prior"], loc + scale * noise(N, jax.random.split(KEY)[1]))


def test_noise_in_the_code_is_measured_in_its_deviations():
    found = arrays("latent_noise", options={"count": 4, "levels": (0.0, 2.0)})
    _, codes = encoded("vae")
    epsilon = jax.random.normal(KEY, (4, 2))
    close(found["decoded"][0, 3], decoded("vae", codes[3]))
    close(found["decoded"][1, 3], decoded("vae", codes[3] + 2 * codes.std(axis=0) * epsilon[3]))
    close(found["original"], made("vae")[2].test.arrays["x"][:4] / 255)


@pytest.mark.parametrize("size, rows", [(8, []), (4, ["bicubic"])])
def test_restoration_is_of_what_was_left_beside_what_there_was(size, rows):
    (model, _, data), step = made("ae", likelihood=gaussian.Likelihood), 8 // size
    left = lambda x: 0.5 * x[:, ::step, ::step]
    batches = Batches(data.test.arrays, model.spec, 10, lambda _, batch: {**batch, "inputs": left(batch["x"])})
    variables = model.init(KEY, next(iter(batches)))
    found = lookup.find("figures", "restoration", "arrays")(model, variables, EvalData.of(test=batches), KEY, count=4)
    clean = np.float32(data.test.arrays["x"][:4] / 255)
    close(found["clean"], clean)
    close(found["corrupted"], left(clean))
    mean = np.asarray(model.apply(variables, {"x": clean, "inputs": left(clean)}).likelihood.mean[0])
    assert mean.min() < 0
    close(found["restored"], mean.clip(0, 1))
    if rows:
        enlarge = lambda image: Image.fromarray(image[..., 0]).resize((8, 8), Image.Resampling.BICUBIC)
        close(found["bicubic"][..., 0], np.stack([np.asarray(enlarge(image)) for image in left(clean)]).clip(0, 1))
    decibels = lambda image, other: skimage.metrics.peak_signal_noise_ratio(image, other, data_range=1)
    scored = {name: np.mean(list(map(decibels, clean, found[name]))) for name in (*(rows or ["corrupted"]), "restored")}
    assert found["scored"].tolist() == list(scored)
    close(found["psnr_db"], list(scored.values()))
    drawn = lookup.find("figures", "restoration", "figure")(found).axes[0].get_yticklabels()
    expected = {name: name for name in ("clean", "corrupted", *rows, "restored")}
    expected |= {name: f"{name} {value:.1f} dB" for name, value in scored.items()}
    assert [label.get_text() for label in drawn] == list(expected.values())


def test_losses_are_those_of_the_metrics_however_sure_the_decoder_is():
    model, variables, data = made("ae")
    variables = jax.tree.map(lambda leaf: 10 * leaf, variables)
    found = lookup.find("figures", "loss_comparison", "arrays")(model, variables, data, KEY, count=4)
    x = data.test.arrays["x"] / 255
    likelihood = model.apply(variables, {"x": np.float32(x), "inputs": np.float32(x)}).likelihood
    logits = np.asarray(likelihood.logits[0], float)
    assert np.abs(logits).max() > 100
    close(found["bce_nats_per_pixel"], [(np.logaddexp(0, logits) - x * logits).mean()])
    mean = scipy.special.expit(logits)
    close(found["mse_per_pixel"], [np.square(x - mean).mean()])
    close(found["mae_per_pixel"], [np.abs(x - mean).mean()])
    close(found["reconstruction"], mean[None, :4])


def test_noise_is_answered_as_any_image():
    found = arrays("from_noise", "ae", likelihood=gaussian.Likelihood)
    model, variables, _ = made("ae", likelihood=gaussian.Likelihood)
    noise = found["noise"]
    assert scipy.stats.kstest(noise.ravel(), "uniform").pvalue > 0.01 and noise.shape == (10, 8, 8, 1)
    mean = model.apply(variables, {"x": noise, "inputs": noise}).likelihood.mean[0]
    close(found["answer"], np.asarray(mean).clip(0, 1))
