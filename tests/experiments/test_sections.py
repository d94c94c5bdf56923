"""The keys of a config: documented, defaulted, listed by --help; an unknown one is refused wherever it comes from."""

import dataclasses
import inspect
import json
import shutil
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.commands import cli
from ae_jax.core import docstrings, lookup
from ae_jax.core.errors import UnknownKey, UserError
from ae_jax.data import corruptions, splits
from ae_jax.experiments import (
    analysis,
    checks,
    configuration,
    experiment,
    parts,
    reference,
    resolved,
    rundir,
    runner,
    sections,
)
from ae_jax.sweeps import launch
from ae_jax.training import optim

# {an unknown key: the valid key that is nearest, if any is near}, one for each section.
UNKNOWN = {
    "sed": "seed",
    "trian": "train",
    "data.pth": "",  # the digits have no path
    "corruption.clipp": "corruption.clip",
    "model.latent_dimm": "model.latent_dim",
    "objective.fre_bits": "objective.free_bits",
    "weights.kll": "weights.kl",
    "optimizer.learning_rat": "optimizer.learning_rate",
    "train.step": "train.steps",
    "eval.metric": "eval.metrics",
    "mesh.fsd": "mesh.fsdp",
    "expected.elbo.valu": "expected.elbo.value",
}


def smoke():
    return configuration.load("configs/vae.py:smoke")


def set_at(config, key, value):
    """Set a dotted key as a config file or a notebook does."""
    section, _, name = key.rpartition(".")
    with config.unlocked():
        if key.startswith("expected."):
            config.expected = {"elbo": {"source": "here", "value": 1.0}}
        (configuration.value_at(config, section) if section else config)[name] = value
    return config


# --- unknown keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", UNKNOWN)
def test_an_unknown_key_of_a_notebook_is_refused(tmp_path, key):
    config = set_at(smoke(), key, 1)
    for use in (
        lambda: experiment.build(config).check(),
        lambda: runner.train_run(config, str(tmp_path / "run")),
        lambda: launch.make_plan(str(tmp_path / "sweep"), config, [{"seed": "0"}]),
    ):
        with pytest.raises(UnknownKey) as caught:
            use()
        said = str(caught.value)
        assert f"unknown config key {key!r}" in said and len(said.splitlines()) == 2
        assert not UNKNOWN[key] or f"did you mean {UNKNOWN[key]!r}" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", UNKNOWN)
def test_an_unknown_key_of_a_file_a_flag_an_axis_or_a_csv_is_refused(tmp_path, capsys, key):
    (tmp_path / "mine.py").write_text(
        "from configs import vae\n\n\ndef get_config(arg=''):\n    config = vae.get_config('smoke')\n"
        "    config.expected = {'elbo': {'source': 'here'}}\n"
        f"    config.update_from_flattened_dict({{{key!r}: 1}})\n    return config\n"
    )
    (tmp_path / "runs.csv").write_text(f"{key}\n1\n")
    before = sorted(tmp_path.iterdir())
    for command, *words in (
        ("train", f"--config={tmp_path / 'mine.py'}"),
        ("sweep", f"--config={tmp_path / 'mine.py'}", "--axis=seed=0,1"),
        ("train", "--config=vae:smoke", f"--config.{key}=1"),
        ("sweep", "--config=vae:smoke", f"--axis={key}=1"),
        ("sweep", "--config=vae:smoke", f"--csv={tmp_path / 'runs.csv'}"),
    ):
        assert cli.run(command, [*words, f"--workdir={tmp_path / 'run'}"]) == 2
        said = capsys.readouterr().err
        assert f"unknown config key {key!r}" in said and len(said.splitlines()) == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("key", [key for key in UNKNOWN if not key.startswith("expected")])
def test_none_unsets_a_key(key):
    experiment.build(set_at(smoke(), key, None)).check()


def test_a_player_names_a_module_of_the_model(tmp_path):
    config = configuration.load("configs/aae.py:smoke")
    config.optimizer.players = {"critc": {"b1": 0.9}}
    with pytest.raises(UnknownKey, match="'optimizer.players.critc'; did you mean 'optimizer.players.critic'"):
        runner.train_run(config, str(tmp_path / "run"))
    config.optimizer.players = {"critic": {"b3": 0.9}}
    with pytest.raises(UnknownKey, match="unknown config key 'optimizer.players.critic.b3'"):
        experiment.build(config)
    config.optimizer.players = {"critic": None, "none": None}
    experiment.build(config).check()


# --- stored configs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("stored") / "run"
    runner.train_run(smoke(), str(workdir), say=lambda *_, **__: None)
    return workdir


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def rewrite(workdir, change):
    """Change the plain config that a run stored."""
    stored = json.loads((workdir / "config.json").read_text())
    change(stored["config"])
    (workdir / "config.json").write_text(json.dumps(stored))


@pytest.mark.parametrize("key", [key for key in UNKNOWN if not key.startswith(("expected", "weights"))])
def test_an_unknown_key_of_a_stored_config_gets_a_warning(trained, copy, capsys, key):
    def change(config):
        section, _, name = key.rpartition(".")
        (config[section] if section else config)[name] = 1

    rewrite(copy, change)
    scores = [analysis.evaluate_run(analysis.load(str(path), limit=8), ["elbo"], {}) for path in (trained, copy)]
    assert scores[0] == scores[1]
    said = capsys.readouterr().err
    assert said.count(f"unknown config key {key!r}") == 1 and "config.json" in said


def test_a_key_that_a_stored_config_lacks_means_what_its_absence_meant(copy):
    absent = {"data": ("stream", "labelled", "transpose", "train_on_test", "size", "cache", "binarize")}
    absent |= {"train": ("accumulate", "precision", "init_from", "max_bad_steps", "ema"), "mesh": ("fsdp",)}

    def change(config):
        del config["expected"]
        for section, names in absent.items():
            for name in names:
                del config[section][name]

    rewrite(copy, change)
    config, _ = rundir.RunDir(copy).read()
    assert configuration.to_plain(config) == configuration.to_plain(smoke())
    # Hence the run goes on under the command that began it.
    assert rundir.check_new_or_same(str(copy), smoke()) == []
    assert runner.train_run(smoke(), str(copy), say=lambda *_, **__: None).step == 2


def test_a_config_of_a_notebook_may_lack_what_has_a_default():
    config = smoke()
    with config.unlocked():
        del config.mesh, config.train.keep, config.data.stream, config.expected
    built = experiment.build(config)
    assert built.config.train.keep == sections.Train().keep and built.config.mesh.data == -1
    assert "mesh" not in config


# --- keys of the user's own parts -------------------------------------------------------------------------------------

THEIRS = '''
import flax.linen as nn
import numpy as np
import optax

from ae_jax.core.types import DataSpec


def noise(count: int = 64, *, deviation: float = 1.0, centred: bool = False):
    """Draw noise.

    Args:
      count: how many examples there are.
    """
    x = deviation * np.random.RandomState(0).normal(size=(count, 4)).astype(np.float32) + (not centred)
    return DataSpec((4,), "reals"), {"train": {"x": x}, "test": {"x": x[:8]}}


class Encoder(nn.Module):
    keep_dims: float = 1.0
    hidden: tuple[int, ...] = (4,)

    @nn.compact
    def __call__(self, x):
        return self.keep_dims * nn.Dense(self.hidden[0])(x.reshape(len(x), -1))


def halved(learning_rate, *, factor=0.5, steps=3):
    return optax.sgd(factor * learning_rate)
'''


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A module with a data source, an encoder and an optimiser of the user's own."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("theirs", None)


def of_noise(*assignments):
    config = smoke()
    own = [("data.source", "theirs:noise"), ("model.likelihood", "gaussian"), ("data.validation", "0")]
    configuration.override_all(config, [*own, *assignments])
    return config


def test_the_keywords_of_a_data_source_are_keys_of_data(theirs):
    assert len(experiment.build(of_noise()).splits["train"]["x"]) == 64
    config = of_noise(("data.count", "512"), ("data.deviation", "0"), ("data.centred", "true"))
    x = experiment.build(config).splits["train"]["x"]
    assert x.shape == (512, 4) and not x.any()
    for assignment, says in (
        (("data.cuont", "512"), "'data.cuont'; did you mean 'data.count'.*\n.*'theirs:noise' reads: .*data.count"),
        (("data.path", "there"), "unknown config key 'data.path'.*\n.*'theirs:noise' reads: .*data.count"),
        (("data.validaton", "3"), "did you mean 'data.validation'"),
        (("data.count", "2.5"), "'data.count' is 2.5\nexpected a whole number"),
        (("data.centred", "1"), "'data.centred' is 1\nexpected true or false"),
    ):
        with pytest.raises(UserError, match=says):
            experiment.build(of_noise(assignment))


def test_a_key_of_another_source_is_an_error_while_it_is_set(theirs):
    config = of_noise(("data.count", "30"))
    others = [("data.count", "512"), ("data.source", "digits"), ("model.likelihood", "bernoulli")]
    configuration.override_all(config, others)
    with pytest.raises(UnknownKey, match="'data.count'.*\n.*'digits' reads: nothing"):
        experiment.build(config)
    for unset in ("None", "0"):  # a config may state the keys of several sources, each at what switches it off
        configuration.override(config, "data.count", unset)
        assert experiment.build(config).spec.shape == (8, 8, 1)


def test_other_data_take_no_keywords_of_the_own_source(theirs, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 4), np.float32))
    config = of_noise(("data.count", "30"))
    spec = experiment.build(config).spec
    assert len(splits.other(config, spec, f"files:{tmp_path / 'x.npy'}")["train"]["x"]) == 18


def test_sizes_are_told_by_their_annotation_and_not_by_their_name(theirs):
    config = smoke()
    configuration.override_all(config, [("model.encoder", "theirs:Encoder"), ("model.keep_dims", "0.5")])
    assert experiment.build(config).model.encoder.keep_dims == 0.5
    for key, value in (("encoder_hidden", (0.5,)), ("keep_dims", "much"), ("decoder_hidden", (0,)), ("latent_dim", -1)):
        with pytest.raises(UserError, match=f"'model.{key}'"):
            experiment.build(set_at(config.copy_and_resolve_references(), f"model.{key}", value))


def test_an_optimizer_of_the_users_own_has_constants_and_numbers(theirs):
    make, numbers = optim.make_tx({"name": "theirs:halved", "learning_rate": 2, "factor": "linear:0:1:4", "steps": 5})
    assert numbers == {"learning_rate": 2, "factor": "linear:0:1:4"}
    gradient = jnp.ones(3)
    updates, _ = make(learning_rate=2.0, factor=0.25).update(gradient, make(learning_rate=0, factor=0).init(gradient))
    np.testing.assert_allclose(updates, -0.5 * gradient)
    with pytest.raises(UserError, match="'theirs:noise' is no optimizer"):
        optim.make_tx({"name": "theirs:noise"})


# --- sections and their reference -------------------------------------------------------------------------------------


def test_every_key_of_every_section_has_a_meaning_and_allows_its_default():
    for kind in (*sections.SECTIONS.values(), sections.Top, sections.Expected):
        assert set(docstrings.meanings_of(kind)) == {field.name for field in dataclasses.fields(kind)}
    config = smoke()
    assert {*sections.SECTIONS, *sections.fields("")} == set(config)
    for section in sections.ALWAYS:
        assert set(config[section]) == set(sections.fields(section))
    checks.check(config)


OPTIONS = {
    **{f"objective {name}": resolved.objective(name) for name in ("elbo", "ciwae", "sparse_kl", "miwae", "piwae")},
    **{f"corruption {name}": corruptions.function(name) for name in ("gaussian", "masking", "box", "downsample")},
    **{f"source {name}": lookup.find("sources", name, "load") for name in lookup.choices("sources")},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_a_meaning(name):
    of_section = docstrings.meanings_of(sections.Data) if name.startswith("source") else {}
    told = {**of_section, **docstrings.meanings_of(OPTIONS[name])}
    assert set(inspect.signature(OPTIONS[name]).parameters) - {"outputs", "batch", "key", "x"} <= set(told)


@pytest.mark.parametrize("role", ["name", "encoder", "decoder", "likelihood", "posterior", "prior"])
def test_every_field_of_a_part_has_a_meaning(role):
    kind, attribute = {"name": ("models", "Model"), **parts.NETS, **parts.PARTS}[role]
    for name in lookup.choices(kind, attribute):
        part = lookup.find(kind, name, attribute)
        fields = set(parts.fields_of(part, role)) - {*parts.NETS, *parts.PARTS}
        assert fields <= set(docstrings.meanings_of(part)), name


@pytest.mark.parametrize(
    "text", ["vae:digits", "music_vae_2bar:tiny", "aae:digits", "denoising_ae:digits", "pca:mnist"]
)
def test_help_with_a_config_lists_its_keys_with_values_and_meanings(capsys, text):
    assert cli.run("train", ["--help", f"--config={text}", "--config.train.keep=7"]) == 0
    said = capsys.readouterr().out
    config = configuration.load(text)
    for key in configuration.keys(config):
        value = 7 if key == "train.keep" else configuration.value_at(config, key)
        if value not in (None, ""):
            assert f"\n  {key}={value!r}" in said, key
    assert "train.keep=7: number of newest checkpoints to keep" in " ".join(said.split())
    assert [key.name for key in reference.keys(config) if not key.meaning] == []


def test_help_says_which_parts_read_a_key_of_the_model(capsys, theirs):
    words = ["--config.data.source=theirs:noise", "--config.model.likelihood=gaussian", "--config.optimizer.b1=0.5"]
    cli.run("train", ["--help", "--config=configs/conv_vae_2d.py:digits", *words])
    said = capsys.readouterr().out
    assert "  model.kernel=3 (encoder 'conv', decoder 'conv'): " in said
    assert "  model.hidden=(16,) (encoder 'conv'): " in said and "  model.decoder_hidden=() (decoder 'conv'): " in said
    assert "  model.latent_dim=2 (model 'vae'): " in said
    assert "  model.scale (default 1.0) (likelihood 'gaussian'): " in said
    assert "  data.count (default 64): how many examples there are" in said
    assert "  optimizer.b1=0.5: " in said and "  optimizer.b2 (default 0.999): " in said


def test_help_with_a_wrong_config_says_what_is_wrong(capsys):
    assert cli.run("train", ["--help", "--config=vae:smoke", "--config.model.hiden=4"]) == 2
    assert "did you mean 'model.hidden'" in capsys.readouterr().err


def test_each_section_is_resolved_once(monkeypatch):
    calls = []

    def counted(name, function):
        return lambda *arguments: calls.append(name) or function(*arguments)

    for module, name in ((optim, "make_tx"), (corruptions, "find"), (parts, "resolve"), (resolved, "objective")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    experiment.build(smoke())
    assert sorted(calls) == ["find", "make_tx", "objective", "resolve"]
