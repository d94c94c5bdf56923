"""Scores of discrete latents: the use of the codebook, and bits under a prior."""

import dataclasses
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.commands import cli
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.evaluation.metrics import bits, codebook
from ae_jax.experiments import analysis, configuration, runner, tokens, using
from ae_jax.models import vq_vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.models.quantizers import fsq

KEY = jax.random.key(0)
EVERY = np.uint8(list(itertools.product(range(2), repeat=4))).reshape(16, 2, 2, 1)


def tiny(**options):
    """A model of four binary pixels by two codes of three values, its variables, and every example there is."""
    model = vq_vae.Model(
        DataSpec((2, 2, 1), levels=2),
        mlp.Encoder((8,)),
        mlp.Decoder((8,)),
        quantizer=lambda latent_dim, **more: fsq.Quantizer(latent_dim, levels=(3,), **more),
        latent_dim=1,
        slots=2,
        **options,
    )
    data = EvalData.of(test=Batches({"x": EVERY}, model.spec, 16))
    return model, model.init({"params": KEY}, next(iter(data.test))), data


def test_bits_are_never_below_those_of_x_itself():
    model, variables, data = tiny()
    found = bits.evaluate(model, variables, data, KEY)
    codes = np.int32(list(itertools.product(range(3), repeat=2)))[None]
    latents = model.apply(variables, codes, method="embed")
    likelihood = model.apply(variables, (latents,), {}, method="decode")
    log_p = jax.vmap(lambda x: likelihood.log_prob(x[None, None])[0])(EVERY.astype(np.float32))
    exact = -np.log2(np.exp(log_p).mean(axis=1)).mean()
    assert exact <= found["bits"]
    # By hand: the codes that the encoder chooses, each with probability 1/9.
    chosen = codebook.of_batch(model, variables, next(iter(data.test)), KEY)["indices"]
    own = log_p[np.arange(16), chosen @ np.array([3, 1])]
    assert found["bits_of_codes"] == pytest.approx(2 * math.log2(3))
    assert found["bits"] == pytest.approx(2 * math.log2(3) - float(own.mean()) / math.log(2), rel=1e-5)
    assert found["bits_per_dim"] == pytest.approx(found["bits"] / 4)


def test_bits_need_probabilities():
    model, variables, data = tiny(likelihood=gaussian.Likelihood)
    with pytest.raises(UserError, match="bits.*\n.*binary"):
        bits.evaluate(model, variables, data, KEY)
    model, variables, _ = tiny()
    grey = EvalData.of(test=Batches({"x": EVERY * 100}, DataSpec((2, 2, 1)), 16))
    with pytest.raises(UserError, match="bits.*\n.*binary"):
        bits.evaluate(model, variables, grey, KEY)


class Same(vq_vae.Model):
    """Gives the code 2 at both places, whatever it reads."""

    def encode(self, batch, num_samples=1):
        (latent,) = super().encode(batch)
        return (latent.replace(indices=jnp.full_like(latent.indices, 2)),)


def test_the_use_of_a_codebook_is_counted_over_the_whole_split():
    model, variables, data = tiny()
    few = data.replace(test=Batches({"x": EVERY}, model.spec, 4))
    found = codebook.evaluate(model, variables, few, KEY)
    indices = codebook.of_batch(model, variables, next(iter(data.test)), KEY)["indices"]
    shares = np.unique(indices, return_counts=True)[1] / 32
    assert found["codebook_entropy_bits"] == pytest.approx(-(shares * np.log2(shares)).sum())
    assert found["codebook_dead"] == 3 - len(shares)
    same = Same(
        **{name: getattr(model, name) for name in ("spec", "encoder", "decoder", "quantizer", "slots")}, latent_dim=1
    )
    found = codebook.evaluate(same, variables, data, KEY)
    assert found == {
        "codebook_entropy_bits": 0,
        "codebook_perplexity": 1,
        "codebook_usage": pytest.approx(1 / 3),
        "codebook_dead": 2,
    }


# --- two stages -------------------------------------------------------------------------------------------------------


def train(workdir, config, **keys):
    config = configuration.load(config)
    for key, value in keys.items():
        configuration.override(config, key.replace("__", "."), str(value))
    runner.train_run(config, str(workdir), say=lambda *_, **__: None)
    return str(workdir)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A quantized autoencoder of binary digits, brief, and two priors for its codes."""
    folder = tmp_path_factory.mktemp("discrete")
    brief = {"train__steps": 250, "train__eval_every": 0, "train__batch_size": 64}
    first = train(folder / "vq", "vq_vae:digits,binary", model__codes=8, model__channels="(8,)", **brief)
    brief["data__path"] = first
    small = {"model__width": 16, "model__layers": 1, "optimizer__learning_rate": 0.01}
    words = {"transformer": small, "pixelcnn": small, "factorised": {"optimizer__learning_rate": 0.03}}
    priors = {name: train(folder / name, f"{name}_prior", **brief, **keys) for name, keys in words.items()}
    return first, priors


def test_both_priors_beat_the_factorised_one_in_bits(runs):
    first, priors = runs
    trained = analysis.load(first)
    found = {name: analysis.evaluate_run(trained, ["bits"], {"bits_sampler": prior}) for name, prior in priors.items()}
    uniform = analysis.evaluate_run(trained, ["bits"], {})
    assert found["factorised"]["bits"] < uniform["bits"]
    for name in ("transformer", "pixelcnn"):
        gap = found["factorised"]["bits_of_codes"] - found[name]["bits_of_codes"]
        assert gap > 3 * found[name]["bits_of_codes_se"]


def test_a_prior_of_codes_is_a_sampler(runs, tmp_path):
    first, priors = runs
    trained = analysis.load(first)
    x = using.sample(trained, 3, sampler=priors["transformer"], temperature=0.5, top_k=2)
    assert x.shape == (3, 8, 8, 1) and ((x >= 0) & (x <= 1)).all()
    flags = ["--workdir", first, "--sampler", priors["pixelcnn"], "--count=2", f"--output={tmp_path}"]
    assert cli.run("apply", ["--task=sample", *flags]) == 0
    assert len(list(tmp_path.glob("*.png"))) == 2
    with pytest.raises(UserError, match="top_k.*\n.*transformer_prior"):
        using.sample(trained, 3, sampler=priors["factorised"], top_k=2)


def test_a_prior_for_another_quantizer_is_refused(runs):
    first, priors = runs
    trained = analysis.load(first)
    other = dataclasses.replace(trained, variables=jax.tree.map(lambda leaf: leaf + 1, trained.variables))
    with pytest.raises(UserError, match="parameters.*\n.*trained on this run"):
        using.sample(other, 3, sampler=priors["transformer"])


# --- files ------------------------------------------------------------------------------------------------------------


def test_encode_writes_indices_that_decode_reads(runs, tmp_path):
    first, _ = runs
    flags = [f"--workdir={first}", "--limit=20"]
    assert cli.run("apply", ["--task=encode", f"--output={tmp_path / 'codes'}", *flags]) == 0
    with np.load(tmp_path / "codes" / "test.npz") as stored:
        indices = stored["indices"]
    assert indices.shape == (20, 4, 4) and indices.dtype == np.uint8 and indices.max() < 8
    words = ["--task=decode", f"--input={tmp_path / 'codes' / 'test.npz'}", f"--output={tmp_path / 'decoded'}"]
    assert cli.run("apply", [*words, *flags]) == 0
    assert len(list((tmp_path / "decoded").glob("*.png"))) == 20
    trained = analysis.load(first, limit=20)
    expected = using.reconstruct(trained, next(iter(trained.data.test))["inputs"])
    np.testing.assert_allclose(tokens.decode(trained, indices, key=KEY), expected, atol=1e-5)
    for wrong in (indices[:, :2], indices.astype(float), indices + 8):
        with pytest.raises(UserError, match="indices"):
            tokens.decode(trained, wrong, key=KEY)


@pytest.mark.parametrize("name", ["transformer", "pixelcnn"])
def test_compressed_codes_have_the_size_that_the_prior_states_and_come_back(runs, tmp_path, name):
    pytest.importorskip("constriction")
    first, priors = runs
    flags = [f"--workdir={first}", f"--sampler={priors[name]}", "--batch_size=300"]
    compress = ["--task=compress", "--split=train", "--limit=1000", f"--output={tmp_path}"]
    assert cli.run("apply", [*compress, *flags]) == 0
    file = tmp_path / "train.npz"
    with np.load(file) as stored:
        arrays = dict(stored)
    trained = analysis.load(first, split="train", limit=1000)
    stated = 1000 * analysis.evaluate_run(trained, ["bits"], {"bits_sampler": priors[name]})["bits_of_codes"]
    assert 32 * len(arrays["payload"]) == pytest.approx(stated, rel=0.01)
    assert json.loads(str(arrays["header"]))["bits"] == pytest.approx(stated, rel=0.001)
    assert cli.run("apply", ["--task=decompress", f"--input={file}", f"--output={tmp_path / 'back'}", *flags]) == 0
    x = np.concatenate([np.asarray(batch["inputs"])[np.asarray(batch["mask"]) > 0] for batch in trained.data.test])
    with np.load(tmp_path / "back" / "train_codes.npz") as stored:
        np.testing.assert_array_equal(stored["indices"], tokens.encode(trained, x, key=KEY))
    other = {**json.loads(str(arrays["header"])), "device": "an abacus"}
    np.savez(file, **{**arrays, "header": json.dumps(other)})
    assert cli.run("apply", ["--task=decompress", f"--input={file}", f"--output={tmp_path / 'no'}", *flags]) == 2


def test_codes_are_compressed_under_a_prior_that_predicts_token_by_token(runs):
    first, priors = runs
    trained = analysis.load(first)
    for sampler in ("", priors["factorised"]):
        with pytest.raises(UserError, match="transformer_prior"):
            tokens.prior_of(trained, sampler)
