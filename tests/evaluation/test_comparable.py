"""Runs set beside one another: what is opened and how it is named, and the numbers of figures that compare them."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.evaluation import comparable, samplers
from ae_jax.evaluation.data import EvalData
from ae_jax.evaluation.samplers import gaussian
from ae_jax.experiments import analysis, eval_data, experiment, runner
from configs import ae, super_resolution, vae

KEY = jax.random.key(0)  # that of evaluations


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{name: directory} of "a/run" on digits and, on noisy ones, "b/run", whose code is its features, and "vae"."""
    folder, made = tmp_path_factory.mktemp("runs"), {"a/run": ae, "b/run": ae, "vae": vae}
    for name, module in made.items():
        config = module.get_config("smoke")
        config.train.update(steps=1, eval_every=0)
        if name != "a/run":
            config.corruption = dict(name="gaussian", level=0.3, mean=0.0, clip=True)
        if name == "b/run":
            config.model.update(latent_dim=0, hidden=(16,))
        runner.train_run(config.lock(), str(folder / name), say=lambda *_, **__: None)
    return {name: str(folder / name) for name in made}


@pytest.fixture(scope="module")
def loaded(runs):
    """{name: the run}, its first 40 training examples in place of the test split."""
    return {name: analysis.load(path, split="train", limit=40, batch_size=25) for name, path in runs.items()}


def arrays(name, trained, *others, **options):
    function = lookup.find("figures", name, "arrays")
    return function(trained.experiment.model, trained.variables, trained.data, KEY, runs=others, **options)


def scores(names, trained, on):
    return analysis.evaluate(trained.experiment, trained.variables, names, on.data)


def test_runs_are_named_by_as_little_of_their_paths_as_tells_them_apart():
    assert comparable.names([]) == ["this run"]
    assert comparable.names(["runs/a", "/x/b/"]) == ["this run", "a", "b"]
    assert comparable.names(["a/run", "b/run", "b/run"]) == ["this run", "a/run", "b/run", "b/run"]
    assert comparable.names(["/a/x/run", "/b/x/run", "/a/y/run"])[1:] == ["a/x/run", "b/x/run", "a/y/run"]


def test_another_run_is_opened_at_the_same_split_and_limit(runs, loaded):
    data = loaded["a/run"].data.open_run(runs["b/run"]).data
    (ours, theirs) = ([batch["x"] for batch in data.test] for data in (loaded["a/run"].data, data))
    jax.tree.map(np.testing.assert_array_equal, theirs, ours)
    assert (data.test.num_examples, data.train.num_examples) == (40, 40)


def test_every_run_is_tested_on_the_data_of_every_run(runs, loaded):
    pair = [loaded["a/run"], loaded["b/run"]]
    found = arrays("cross_data", pair[0], runs["b/run"])
    expected = [[scores(["mse"], model, on)["mse_per_pixel"] for on in pair] for model in pair]
    assert len(np.unique(expected)) == 4
    np.testing.assert_allclose(found["mse_per_pixel"], expected, rtol=1e-5)
    assert found["names"].tolist() == ["this run", "run"]
    lookup.find("figures", "cross_data", "figure")(found).draw_without_rendering()


def test_the_numbers_of_losses_side_by_side_are_the_metrics_of_each_run(runs, loaded):
    this, other = loaded["b/run"], loaded["a/run"]
    found = arrays("loss_comparison", this, runs["a/run"], count=3)
    for place, trained in enumerate((this, other)):
        for name, value in scores(["bce", "mse", "mae"], trained, this).items():
            if not name.endswith(("_se", "_floor")):
                assert found[name][place] == pytest.approx(value, rel=1e-4)
        (batch, *_) = this.data.test
        mean = trained.experiment.model.apply(trained.variables, batch).likelihood.mean[0]
        np.testing.assert_allclose(found["reconstruction"][place], mean[:3], atol=1e-5)
    np.testing.assert_array_equal(found["original"], batch["x"][:3])
    lookup.find("figures", "loss_comparison", "figure")(found).draw_without_rendering()


def test_new_examples_are_of_the_prior_or_else_of_each_sampler(runs, loaded):
    found = arrays("generation", loaded["vae"], runs["a/run"], runs["b/run"], count=3, samplers=("gaussian",))
    assert found["names"].tolist() == ["this run: prior", "a/run: gaussian", "b/run: gaussian"]
    this, other = loaded["vae"], loaded["a/run"]
    batch = {"mask": np.ones(3)}
    of_prior = this.experiment.model.apply(this.variables, batch, method="generate", rngs={"latent": KEY}).mean[0]
    np.testing.assert_allclose(found["samples"][0], of_prior, atol=1e-5)
    model = other.experiment.model
    codes = [samplers.one_draw(model, other.variables, batch, KEY) for batch in other.data.train]
    _, _, key_draw = jax.random.split(KEY, 3)
    z = gaussian.fit(np.concatenate(codes)[:40], None)(key_draw, 3)
    decoded = model.apply(other.variables, (z[None],), {}, method="decode").mean[0]
    np.testing.assert_allclose(found["samples"][1], decoded, atol=1e-4)
    lookup.find("figures", "generation", "figure")(found).draw_without_rendering()


def test_codes_of_several_lengths_are_compared_with_as_many_components(runs, loaded):
    found, pair = arrays("pca_comparison", loaded["b/run"], runs["vae"]), [loaded["vae"], loaded["b/run"]]
    assert found["size"].tolist() == [2, 16]  # without a `latent_dim` the encoder's features are the code
    for name in ("mse_per_pixel", "pca_mse_per_pixel"):
        metric = name.removesuffix("_per_pixel")
        np.testing.assert_allclose(found[name], [scores([metric], each, each)[name] for each in pair], rtol=1e-5)
    lookup.find("figures", "pca_comparison", "figure")(found).draw_without_rendering()


@pytest.mark.parametrize("figure", ["cross_data", "loss_comparison"])
def test_models_that_read_images_of_two_sizes_are_not_compared(figure):
    made = [experiment.build(super_resolution.get_config(f"smoke,factor={factor}")) for factor in (2, 4)]
    half, quarter = (eval_data.data_of(built) for built in made)
    data = half.replace(open_run=lambda run: SimpleNamespace(model=made[1].model, variables=None, data=quarter))
    message = r"'other' reads inputs of shape \(2, 2, 1\)\nuse .* \(4, 4, 1\)"
    with pytest.raises(UserError, match=message):
        lookup.find("figures", figure, "arrays")(made[0].model, None, data, KEY, runs=("other",))


def test_features_are_of_networks_that_read_whole_examples(loaded):
    small = experiment.build(super_resolution.get_config("smoke"))
    trained = loaded["vae"]
    other = SimpleNamespace(model=small.model, variables=None, data=eval_data.data_of(small))
    data = EvalData.of(test=trained.data.test, open_run=lambda run: other)
    with pytest.raises(UserError, match=r"'other' reads inputs of shape \(4, 4, 1\)\nuse .* \(8, 8, 1\)"):
        lookup.find("metrics", "fid", "evaluate")(
            trained.experiment.model, trained.variables, data, KEY, features="other"
        )
