"""Two families as a user would write them, each in two files outside the repository, trained and used in full."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans

from ae_jax.commands import cli
from ae_jax.experiments import analysis, configuration, rundir, runner

K = 64  # codes of the VQ-VAE
STEPS = 2000

VQ = '''
"""A vector-quantised autoencoder whose codebook is a moving average (van den Oord et al. 2017, appendix A.1)."""

import jax
import jax.numpy as jnp

from ae_jax.core.types import DataSpec, Latent
from ae_jax.models import ae


class Model(ae.Model):
    codes: int = 64
    decay: float = 0.95

    starts_from = "first_batch"

    @property
    def code_spec(self):
        return DataSpec(self._places(), "tokens", levels=self.codes)

    def setup(self):
        super().setup()
        shape = (self.codes, self.latent_dim)
        self.entries = self.variable("codebook", "entries", jnp.zeros, shape)
        self.counts = self.variable("codebook", "counts", jnp.ones, shape[:1])
        self.totals = self.variable("codebook", "totals", jnp.zeros, shape)
        self.spare = self.variable("codebook", "spare", jnp.zeros, shape)
        self.n = self.variable("sums", "n", jnp.zeros, shape[:1])
        self.sum_z = self.variable("sums", "sum_z", jnp.zeros, shape)

    def embed(self, indices):
        return self.entries.value[indices].reshape(*indices.shape[:2], -1)

    def encode(self, batch, num_samples=1):
        z = self.z(self.features(batch))
        rows = z.reshape(-1, self.latent_dim)
        if self.is_initializing():
            self.entries.value = self.totals.value = _some(rows, self.codes, self.make_rng("collections"))
        entries = self.entries.value
        distance = jnp.square(entries).sum(axis=1)[None] - 2 * rows @ entries.T
        indices = distance.argmin(axis=1)
        quantised = entries[indices].reshape(z.shape)
        straight_through = z + jax.lax.stop_gradient(quantised - z)
        flat = straight_through.reshape(1, len(z), -1)
        return (Latent(flat, indices=indices.reshape(1, *z.shape[:3])),)

    def __call__(self, batch, *, num_samples=1, train=False, hparams=None):
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        z = self.z(self.features(batch))
        indices = outputs.latents[0].indices[0]
        gap = jnp.square(z - jax.lax.stop_gradient(self.entries.value[indices]))
        if train:
            shown = jnp.repeat(batch["mask"], indices[0].size)[:, None]
            one_hot = jax.nn.one_hot(indices.reshape(-1), self.codes) * shown
            rows = jax.lax.stop_gradient(z).reshape(-1, self.latent_dim)
            self.n.value += one_hot.sum(axis=0)
            self.sum_z.value += one_hot.T @ rows
            self.spare.value = _some(rows, self.codes, self.make_rng("collections"))
        return outputs.replace(penalties={"commitment": gap.sum(axis=(1, 2, 3))})

    def after_batch(self, collections, key):
        book, sums = collections["codebook"], collections["sums"]
        counts = self.decay * book["counts"] + (1 - self.decay) * sums["n"]
        totals = self.decay * book["totals"] + (1 - self.decay) * sums["sum_z"]
        dead = counts < 0.1
        counts = jnp.where(dead, 1.0, counts)
        totals = jnp.where(dead[:, None], book["spare"], totals)
        new = {**book, "counts": counts, "totals": totals, "entries": totals / counts[:, None]}
        return {**collections, "codebook": new}


def _some(rows, count, key):
    return rows[jax.random.randint(key, (count,), 0, len(rows))]
'''

VQ_CONFIG = """
from configs import common


def get_config(arg="digits"):
    config, arguments = common.start(arg)
    config.model = dict(name="vq:Model", encoder="conv", decoder="conv", likelihood="gaussian", scale=0.1, latent_dim=8,
                        spatial=True, channels=(16, 32), codes=64)
    config.objective = dict(name="reconstruction", num_samples=1)
    config.weights = dict(reconstruction=1.0, commitment=0.25)
    config.eval.update(metrics=("mse",), criterion="mse_per_pixel")
    config.train.update(steps=2000, batch_size=128)
    return common.finish(config, arguments)
"""

SPATIAL = '''
"""A VAE whose latent keeps the places of the image, with a posterior that starts narrow."""

from ae_jax.models import vae


class Model(vae.Model):
    spatial: bool = True
'''

SPATIAL_CONFIG = """
from configs import common


def get_config(arg="digits"):
    config, arguments = common.start(arg)
    config.model = dict(name="places:Model", encoder="conv", decoder="conv", likelihood="bernoulli", latent_dim=4,
                        spatial=True, channels=(32, 64))
    config.train.update(steps=2000)
    return common.finish(config, arguments)
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A folder with the user's four files, on the import path and the current one."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in {"vq": VQ, "vq_config": VQ_CONFIG, "places": SPATIAL, "places_config": SPATIAL_CONFIG}.items():
        (folder / f"{name}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


def config_of(name, **keys):
    config = configuration.load(f"{name}_config.py")
    for key, value in keys.items():
        configuration.override(config, key.replace("__", "."), str(value))
    return config


def command(*words):
    assert cli.run(words[0], [*words[1:], "--trust=vq,places"]) == 0


def bytes_of(workdir):
    state = analysis.load(str(workdir), trust=("vq", "places")).variables
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def test_a_codebook_is_the_same_whether_or_not_training_was_interrupted(theirs):
    keys = {"train__checkpoint_every": 5, "train__eval_every": 10, "train__log_every": 5, "model__channels": "4,8"}
    runner.train_run(config_of("vq", train__steps=10, **keys), "whole")
    runner.train_run(config_of("vq", train__steps=5, **keys), "parts")
    runner.train_run(config_of("vq", train__steps=10, **keys), "parts")
    assert bytes_of("whole") == bytes_of("parts")
    assert (theirs / "whole/metrics.jsonl").read_bytes().splitlines()[-1] == (
        theirs / "parts/metrics.jsonl"
    ).read_bytes().splitlines()[-1]


def test_a_codebook_is_the_same_on_one_device_and_on_eight(theirs):
    flags = ["--config.train.steps=5", "--config.train.eval_every=0", "--config.train.log_every=5"]
    flags += ["--config.model.channels=4,8"]
    found = {}
    for devices in (1, 8):
        environment = {**os.environ, "PYTHONPATH": f"{configuration.ROOT}{os.pathsep}{theirs}"}
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        words = ["train", "--config=vq_config.py", f"--workdir=on{devices}", *flags]
        done = subprocess.run([sys.executable, "-m", "ae_jax", *words], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[devices] = analysis.load(f"on{devices}", trust=("vq",)).variables
    one, eight = (jax.tree.leaves(found[devices]["codebook"]["counts"]) for devices in (1, 8))
    np.testing.assert_allclose(one, eight, rtol=1e-4)
    np.testing.assert_allclose(found[1]["codebook"]["entries"], found[8]["codebook"]["entries"], rtol=1e-2, atol=1e-3)


@pytest.mark.long
def test_a_vq_vae_beats_k_means_uses_its_codes_and_is_sampled_through_a_second_stage(theirs):
    command("train", "--config=vq_config.py", "--workdir=vq", f"--config.train.steps={STEPS}")
    trained = analysis.load("vq", trust=("vq",))
    splits = trained.experiment.splits
    pixels = {name: splits[name]["x"].reshape(len(splits[name]["x"]), -1) / 16 for name in ("train", "test")}
    means = KMeans(K, n_init=3, random_state=0).fit(pixels["train"])
    of_k_means = np.square(pixels["test"] - means.cluster_centers_[means.predict(pixels["test"])]).mean()
    scores = analysis.evaluate(trained.experiment, trained.variables, ["mse"], trained.data)
    assert scores["mse_per_pixel"] < of_k_means
    batch = next(iter(trained.data.train))
    indices = trained.experiment.model.apply(trained.variables, batch, method="encode")[0].indices
    assert len(np.unique(indices)) > K / 2
    words = ["--config=factorised_prior", "--config.data.path=vq", "--config.train.steps=300"]
    command("train", "--workdir=tokens", *words)
    command("apply", "--workdir=vq", "--task=sample", "--sampler=tokens", "--output=samples", "--count=4")
    assert len(list((theirs / "samples").glob("*.png"))) == 4
    assert rundir.RunDir(theirs / "tokens").read()[1].kind == "tokens"


@pytest.mark.long
def test_a_spatial_vae_is_as_good_as_a_vector_one_and_can_be_used(theirs):
    command("train", "--config=places_config.py", "--workdir=spatial", f"--config.train.steps={STEPS}")
    flags = ["--config.model.name=vae", "--config.model.latent_dim=16", "--config.model.spatial=False"]
    command("train", "--config=places_config.py", "--workdir=vector", f"--config.train.steps={STEPS}", *flags)
    found = {}
    for name in ("spatial", "vector"):
        trained = analysis.load(name, trust=("places",))
        # One draw of each latent would add a noise of some tenths of a nat.
        options = {"elbo_samples": 50}
        scores = analysis.evaluate(trained.experiment, trained.variables, ["elbo"], trained.data, options=options)
        found[name] = scores["elbo"]
    assert found["spatial"] > found["vector"] - 1
    command("plot", "--workdir=spatial", "--figures=reconstructions,samples,interpolations")
    command("apply", "--workdir=spatial", "--task=encode", "--output=codes", "--limit=5")
    command("apply", "--workdir=spatial", "--task=decode", "--input=codes/test.csv", "--output=decoded")
    assert len(list((theirs / "decoded").glob("*"))) == 5
    assert json.loads((theirs / "spatial/config.json").read_text())["config"]["model"]["spatial"] is True
