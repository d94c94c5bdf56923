"""A run on the latents of another: what it reads, what it learns, and what the other one draws through it."""

import json
import shutil
import sys

import jax
import numpy as np
import pytest

from ae_jax.commands import cli
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.evaluation import second_stage
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.sweeps import launch
from configs import ae, factorised_prior, iwae, latent_flow, latent_vae, super_resolution

KEY, N = jax.random.key(3), 1000
# Each of two numbers is rounded to one of four levels. All digits have levels of their own at some positions.
ROUNDED = '''
import jax.numpy as jnp

from ae_jax.core.types import DataSpec, Latent
from ae_jax.models import ae


class Model(ae.Model):
    """An autoencoder whose latent is rounded to four levels."""

    code_spec = property(lambda self: DataSpec((self.latent_dim,), "tokens", levels=4))

    def encode(self, batch, num_samples=1):
        (latent,) = super().encode(batch)
        indices = jnp.clip(jnp.round(4 * latent.sample + 1.5), 0, 3).astype(int)
        return (Latent(self.embed(indices), indices=indices),)

    def embed(self, indices):
        return indices / 4 - 0.375
'''


def train(workdir, config, **options):
    runner.train_run(config, str(workdir), say=lambda *_, **__: None, **options)
    return str(workdir)


def brief(config, steps, **changes):
    """The config, trained for some steps without evaluations between."""
    config.train.update(steps=steps, epochs=None, log_every=steps, eval_every=0, checkpoint_every=steps)
    for section, values in changes.items():
        config[section].update(values)
    return config


def codes(path, **keys):
    """(spec, splits) of the latents of a run."""
    config = latent_flow.get_config()
    config.data.update({"path": str(path), "standardise": False, "validation": 0, **keys})
    return experiment.splits.load(config.data, 0, open_run=experiment.RunOpener())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("second")


@pytest.fixture(scope="module")
def linear(folder):
    """A linear autoencoder of vectors that are normally distributed: so are its latents."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(N, 3)) * [2, 1, 0.5] + [1, -1, 2]
    np.savez(folder / "x.npz", x=x.astype(np.float32), label=np.arange(N) % 3)
    config = brief(ae.get_config("smoke"), 500, model={"hidden": (), "latent_dim": 2, "likelihood": "gaussian"})
    config.optimizer.learning_rate = 1e-2
    config.eval.update(metrics=("mse",), criterion="mse_per_pixel")
    config.data.update(name="own", source="files", path=str(folder / "x.npz"), validation=90)
    return train(folder / "linear", config)


@pytest.fixture(scope="module")
def rounded(folder):
    """An autoencoder of digits with a discrete latent, of a family of the user's own."""
    (folder / "rounded.py").write_text(ROUNDED)
    sys.path.insert(0, str(folder))
    config = brief(ae.get_config("smoke"), 1, model={"name": "rounded:Model", "latent_dim": 2})
    yield train(folder / "rounded", config)
    sys.path.remove(str(folder))


# --- what is served ---------------------------------------------------------------------------------------------------


def test_the_latents_of_all_splits_are_served_with_their_labels(linear):
    spec, splits = codes(linear)
    run = analysis.load(linear)
    assert (spec.shape, spec.kind, spec.classes) == ((2,), "reals", 3)
    assert {name: len(side["x"]) for name, side in splits.items()} == {"train": 810, "test": 100, "validation": 90}
    for name, side in splits.items():
        x = run.splits[name]["x"]
        expected = run.model.apply(run.variables, {"x": x, "inputs": x}).code
        np.testing.assert_allclose(side["x"], expected, atol=1e-5)
        np.testing.assert_array_equal(side["label"], run.splits[name]["label"])


def test_standardised_latents_can_be_brought_back(linear):
    (_, plain), (spec, splits) = codes(linear), codes(linear, standardise=True)
    np.testing.assert_allclose(splits["train"]["x"].mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(splits["train"]["x"].std(axis=0), 1, atol=0.01)
    for name, side in splits.items():
        error = spec.restored(side["x"]) - plain[name]["x"]
        # Noise of 0.02 deviations was added, so that a dimension which never varies has a density.
        np.testing.assert_allclose(error.std(axis=0) / plain["train"]["x"].std(axis=0), 0.02, rtol=0.2)


def test_of_several_layers_the_familys_code_is_served_or_the_one_that_is_asked_for(folder):
    config = iwae.get_config("smoke,k=1,objective=elbo,layers=2")
    config = brief(
        config, 1, model={"latent_dim": 3, "upper_dims": (2,), "upper_hidden": (5,)}, eval={"metrics": ("elbo",)}
    )
    run = analysis.load(train(folder / "layers", config))
    batch = next(iter(run.uncorrupted("train")))
    encode = jax.jit(lambda variables: run.model.apply(variables, batch, method="encode", rngs={"latent": KEY}))
    _, last = encode(run.variables)
    served, draws, top = (codes(run.run.path, **keys)[1]["train"]["x"] for keys in ({}, {"layer": "1"}, {"layer": "0"}))
    count = len(batch["x"])
    np.testing.assert_allclose(served[:count], last.posterior.mean, atol=1e-5)
    noise = (draws[:count] - last.posterior.mean) * np.exp(-last.posterior.log_scale)
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert (top.shape[1], served.shape[1]) == (2, 3)
    for keys, message in (({"draw": "sample"}, "data.layer"), ({"layer": "2"}, "0 to 1")):
        with pytest.raises(UserError, match=message):
            codes(run.run.path, **keys)


def test_a_discrete_latent_is_served_as_tokens_or_as_numbers(rounded):
    config = factorised_prior.get_config()
    config.data.path = rounded
    with pytest.raises(UserError, match="--trust=rounded"):
        experiment.build(config)
    built = experiment.build(config, trust=("rounded",))
    assert (built.spec.shape, built.spec.kind, built.spec.levels) == ((2,), "tokens", 4)
    config.data.draw, config.model = "mean", latent_flow.get_config().model
    reals = experiment.build(config, trust=("rounded",))
    np.testing.assert_allclose(reals.splits["test"]["x"], built.splits["test"]["x"] / 4 - 0.375)


def test_a_mistake_says_what_to_do(linear, folder):
    small = train(folder / "small", brief(super_resolution.get_config("smoke"), 1))
    mistakes = [("", {}, "data.path=RUN"), (folder / "none", {}, "no run in"), (small, {}, "whole examples")]
    mistakes += [(linear, {"draw": "indices"}, "not discrete"), (linear, {"draw": "draws"}, "what exists: indices")]
    mistakes += [(linear, {"layer": "1"}, "one layer"), (linear, {"digest": "0" * 12}, "0{12}.*\nexpected")]
    for path, keys, message in mistakes:
        with pytest.raises(UserError, match=message) as error:
            codes(path, **keys)
        assert len(str(error.value).splitlines()) == 2


# --- what is learned and drawn ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages(linear, folder):
    """{config: directory of its run on the latents of the linear autoencoder}."""
    small = {"latent_flow": {"flows": 1, "flow_hidden": 8}, "latent_vae": {"hidden": (32,)}}
    made = {}
    for module, steps in ((latent_flow, 400), (latent_vae, 1500)):
        name = module.__name__.rpartition(".")[2]
        config = brief(
            module.get_config(), steps, model=small[name], optimizer={"learning_rate": f"cosine:1e-2:0:{steps}"}
        )
        config.data.path = linear
        made[name] = train(folder / name, config)
    return made


@pytest.mark.parametrize("name", ["latent_flow", "latent_vae"])
def test_the_draws_have_the_moments_of_normal_latents(linear, stages, name):
    run, latents = analysis.load(linear), codes(linear)[1]["train"]["x"]
    second = second_stage.opened(stages[name], run.model, run.variables, run.data)
    drawn = second_stage.draws(second.model, second.variables, {"mask": np.ones(20_000)}, KEY)
    drawn = np.asarray(second_stage.latents(second.spec, run.model, run.variables, drawn))
    deviation = latents.std(axis=0)
    np.testing.assert_allclose((drawn.mean(axis=0) - latents.mean(axis=0)) / deviation, 0, atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(deviation, deviation),
                               np.corrcoef(latents.T), atol=0.15)  # fmt: skip


def test_a_trained_run_remembers_the_parameters_that_made_its_data(linear, stages, folder):
    stored = json.loads((folder / "latent_flow" / "config.json").read_text())
    assert stored["config"]["data"]["digest"] == analysis.load(linear).digest
    config = configuration.from_plain(stored["config"])
    with config.unlocked():
        config.data.digest = ""
    train(stages["latent_flow"], config)  # the same command goes on, though its config has no digest yet
    changed = folder / "changed"
    shutil.copytree(linear, changed)
    longer = analysis.load(linear).experiment.config.copy_and_resolve_references()
    with longer.unlocked():
        longer.train.steps = 501
    train(changed, longer)
    stored["config"]["data"]["path"] = str(changed)
    (folder / "moved").mkdir()
    shutil.copytree(stages["latent_flow"], folder / "moved" / "run")
    (folder / "moved" / "run" / "config.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match=analysis.load(str(changed)).digest):
        list(analysis.load(str(folder / "moved" / "run")).data.test)
    run = analysis.load(str(changed))
    with pytest.raises(UserError, match="trained on the latents of a run with parameters .*\nuse a sampler"):
        second_stage.opened(stages["latent_flow"], run.model, run.variables, run.data)


@pytest.mark.parametrize("key", ["seed", "data.path"])
def test_every_run_of_a_sweep_remembers_them(linear, folder, key):
    config = brief(latent_flow.get_config(), 2, model={"flows": 1, "flow_hidden": 8})
    config.data.path = "" if key == "data.path" else linear
    arguments = config, [{key: linear if key == "data.path" else "0"}], "map"
    swept = launch.run(launch.make_plan(str(folder / f"sweep {key}"), *arguments))
    (name,) = swept.read()[1]
    assert swept.run(name).read()[0].data.digest == analysis.load(linear).digest
    assert not launch.make_plan(str(swept.path), *arguments).groups  # nothing is left to train


def test_the_commands_draw_through_a_run(linear, stages, tmp_path, capsys):
    run, second = f"--workdir={linear}", stages["latent_flow"]
    sample = [run, "--task=sample", "--count=50", f"--output={tmp_path / 'out'}"]
    assert cli.run("apply", [*sample, f"--sampler={second}"]) == 0
    assert np.load(tmp_path / "out" / "sample.npy").shape == (50, 3)
    fid = ["--metrics=fid", f"--fid_features={linear}", "--limit=80"]
    assert cli.run("evaluate", [run, *fid, f"--fid_sampler={second}"]) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    # The variances of the features are about 4 and 1.
    assert 0 < scores["fid_linear"] < 0.5
    for name, config in (("flow", "latent_flow"), ("two_stage", "latent_vae")):
        assert cli.run("apply", [*sample, f"--sampler={name}"]) == 2
        said = capsys.readouterr().err
        assert f"configs/{config}.py" in said and len(said.splitlines()) == 2
    assert cli.run("apply", [*sample, f"--sampler={linear}"]) == 2
    assert "data.source=files" in capsys.readouterr().err


def test_the_figure_draws_each_run_through_its_own_second_stage(linear, stages):
    run = analysis.load(linear)
    given = run.model, run.variables, run.data, KEY
    arrays = lookup.find("figures", "generation", "arrays")
    found = arrays(*given, count=5, samplers=("gaussian", stages["latent_vae"]))
    assert found["names"].tolist() == ["this run: gaussian", "this run: latent_vae"]
    assert found["samples"].shape == (2, 5, 3) and np.isfinite(found["samples"]).all()
    with pytest.raises(UserError, match="data.source=files"):
        arrays(*given, samplers=(linear,))


def test_a_prior_of_tokens_learns_the_shares_of_each_position(rounded, folder):
    config = brief(factorised_prior.get_config(), 300, optimizer={"learning_rate": "cosine:1e-1:0:300"})
    config.data.path = rounded
    workdir = train(folder / "tokens", config, trust=("rounded",))
    prior = analysis.load(workdir, trust=("rounded",), split="train")
    tokens = prior.splits["train"]["x"]
    shares = np.stack([np.bincount(column, minlength=4) for column in tokens.T]) / len(tokens)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-12)))
    scores = analysis.evaluate(prior.experiment, prior.variables, ["elbo", "nll"], prior.data, 0, {"nll_samples": 2})
    assert entropy - 1e-4 < -scores["elbo"] < entropy + 0.01
    assert scores["nll"] == pytest.approx(-scores["elbo"], rel=1e-5)
    run = analysis.load(rounded, trust=("rounded",))
    second = second_stage.opened(workdir, run.model, run.variables, run.data)
    drawn = second_stage.draws(second.model, second.variables, {"mask": np.ones(20_000)}, KEY)
    assert np.abs(np.stack([(np.asarray(drawn) == level).mean(axis=0) for level in range(4)], 1) - shares).max() < 0.02
    latents = second_stage.latents(second.spec, run.model, run.variables, drawn)
    np.testing.assert_allclose(latents, drawn / 4 - 0.375, atol=1e-6)


def test_a_model_without_latents_says_so(stages, tmp_path, capsys):
    run = f"--workdir={stages['latent_flow']}"
    for command in (["evaluate", run, "--metrics=active_units"], ["evaluate", run, "--metrics=probe"],
                    ["plot", run, "--figures=scatter"],
                    ["apply", run, "--task=encode", f"--output={tmp_path / 'out'}"]):  # fmt: skip
        assert cli.run(command[0], command[1:]) == 2
        said = capsys.readouterr().err
        assert "none" in said or "no latents" in said
        assert len(said.splitlines()) == 2
