"""From text to a config: arguments, overrides with types and ranges, files, JSON and back, differences."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from ae_jax.core.errors import UserError
from ae_jax.experiments import checks, configuration, experiment

WORDS = {"mnist": False, "smoke": False, "k": 1, "rate": 0.5, "beta": 4.0}


def test_arguments_take_the_type_of_their_default():
    arguments = configuration.parse_arguments("mnist,k=5,rate=2", WORDS)
    assert arguments.to_dict() == {"mnist": True, "smoke": False, "k": 5, "rate": 2.0, "beta": 4.0}
    assert configuration.parse_arguments("", WORDS).to_dict() == WORDS


@pytest.mark.parametrize(
    "text, says",
    [("minst", "did you mean 'mnist'"), ("k", "k=1"), ("mnist=1", "expected: mnist"), ("k=big", "a whole number")],
)
def test_a_wrong_argument_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        configuration.parse_arguments(text, WORDS)


@pytest.mark.parametrize(
    "key, text, value",
    [
        ("train.steps", "12", 12),
        ("train.ema", "0", 0.0),
        ("train.ema", "linear:0:0.99:50", "linear:0:0.99:50"),
        ("data.name", "12", "12"),
        ("data.path", "2024_01", "2024_01"),
        ("data.path", "'None'", "None"),
        ("data.dir", "/a/b c", "/a/b c"),
        ("model.hidden", "64,32", (64, 32)),
        ("model.hidden", "(64, 32)", (64, 32)),
        ("model.hidden", "64", (64,)),
        ("model.hidden", "()", ()),
        ("eval.metrics", "elbo,mse", ("elbo", "mse")),
        ("weights.kl", "linear:0:1:100", "linear:0:1:100"),
        ("weights.kl", "4", 4.0),
        ("weights.another", "2", 2),
        ("optimizer.nesterov", "true", True),
        ("optimizer.clip", "None", None),
        ("objective.free_bits", "0.5", 0.5),
    ],
)
def test_an_override_takes_the_type_of_the_value_it_replaces(key, text, value):
    config = configuration.load("configs/vae.py:digits")
    configuration.override(config, key, text)
    found = configuration.to_plain(config)
    for part in key.split("."):
        found = found[part]
    expected = json.loads(json.dumps(value))
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    "key, text, says",
    [
        ("train.step", "1", "did you mean 'train.steps'"),
        ("trian.steps", "1", "did you mean 'train.steps'"),
        ("train.steps.more", "1", "did you mean 'train.steps'"),
        ("train", "1", "unknown config key 'train'"),
        ("sede", "1", "did you mean 'seed'"),
        ("train.steps", "many", "'many'\nexpected a whole number"),
        ("train.batch_size", "2.5", "2.5\nexpected a whole number"),
        ("train.batch_size", "true", "True\nexpected a whole number"),
        ("train.ema", "high", "linear:FROM:TO:STEPS"),
        ("model.hidden", "64,wide", "'wide'\nexpected a whole number"),
        ("weights.kl", "lineal:0:1:10", "linear:FROM:TO:STEPS"),
        ("optimizer.learning_rate", "nan", "config key 'optimizer.learning_rate': 'nan' is not a schedule"),
    ],
)
def test_a_wrong_override_is_refused(key, text, says):
    with pytest.raises(UserError, match=says):
        configuration.override(configuration.load("configs/vae.py:digits"), key, text)


@pytest.mark.parametrize("given_key, other", [("steps", "epochs"), ("epochs", "steps")])
def test_giving_steps_or_epochs_clears_the_other(given_key, other):
    config = configuration.load("configs/vae.py:digits" if given_key == "epochs" else "configs/vae.py:mnist")
    configuration.override(config, f"train.{given_key}", "7")
    checks.check(config)
    assert (config.train[given_key], config.train[other]) == (7, None)


def test_another_data_name_is_other_data(monkeypatch, tmp_path):
    for name in ("mnist", "fashion_mnist"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("AE_JAX_DATA_DIR", str(tmp_path))
    config = configuration.load("configs/vae.py:mnist")
    for name in ("fashion_mnist", "digits", "mnist"):
        configuration.override(config, "data.name", name)
        expected = {"source": "digits"} if name == "digits" else {"source": "idx", "dir": str(tmp_path / name)}
        assert {"name": name, "dir": "", **expected}.items() <= config.data.to_dict().items()
    with config.unlocked():
        config.data.dir = "/of/my/own"
    configuration.override(config, "data.name", "pictures")
    assert (config.data.name, config.data.dir) == ("pictures", "/of/my/own")
    config = configuration.load("configs/simple_ae.py:mnist")
    assert config.expected
    configuration.override_all(config, [("data.dir", "/of/my/own"), ("data.name", "digits")])
    assert (config.data.source, config.data.dir) == ("digits", "/of/my/own") and not config.expected


@pytest.mark.parametrize(
    "key, value",
    [
        ("seed", -1),
        ("seed", 2**32),
        ("train.steps", 0),
        ("train.steps", None),
        ("train.epochs", 3),
        ("train.batch_size", -1),
        ("train.batch_size", None),
        ("train.accumulate", 0),
        ("train.accumulate", 3),
        ("data.size", 0),
        ("train.eval_every", -1),
        ("train.checkpoint_every", 0),
        ("train.log_every", 0),
        ("train.keep", 0),
        ("train.max_bad_steps", 0),
        ("train.ema", 1.0),
        ("data.validation", -1),
        ("objective.num_samples", 0),
        ("model.latent_dim", -2),
        ("model.hidden", (64, 0)),
        ("model.hidden", (64, "32")),
        ("model.encoder_hidden", 0),
        ("model.components", 0),
        ("model.bar", 0),
        ("model.encoder_part", -1),
        ("expected.elbo", {"value": 5}),
        ("optimizer.learning_rate", -1e-3),
    ],
)
def test_a_value_out_of_range_is_refused(key, value):
    config = configuration.load("configs/vae.py:digits")
    if key in ("model.components", "model.bar"):
        config = configuration.load("configs/music_vae_16bar.py:scales_16bar")
        config.model.prior = "mixture"
    set_at(config, key, value)
    with pytest.raises(UserError, match=key) as caught:
        experiment.build(config)
    assert len(str(caught.value).splitlines()) <= 2


def set_at(config, key, value):
    """Set a dotted key as a config file or a notebook does."""
    section, _, name = key.rpartition(".")
    with config.unlocked():
        (config[section] if section else config)[name] = value


def test_a_config_anywhere_may_build_on_ours(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import vae\n\n\n"
        "def get_config(arg=''):\n"
        "    config = vae.get_config(arg)\n    config.model.latent_dim = 3\n    return config\n"
    )
    monkeypatch.chdir(tmp_path)
    for path in (str(file), "mine.py"):
        assert configuration.load(f"{path}:digits").model.latent_dim == 3
    assert configuration.load("configs/vae.py:digits").model.latent_dim == 2  # from any directory
    assert configuration.load(str(file)).is_locked


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("no_function.py", "x = 1\n", "no get_config"),
        ("broken.py", "def get_config(:\n", "line 1"),
        ("empty.py", "def get_config(arg): return {}\n", "returned dict"),
        ("text.txt", "", "not a Python file"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=says) as caught:
        configuration.load(str(tmp_path / name))
    assert name in str(caught.value) and len(str(caught.value).splitlines()) <= 2


def test_a_missing_config_lists_those_there_are():
    with pytest.raises(UserError, match=r"did you mean 'vae'\?\n.*vae_mlp"):
        configuration.load("configs/vea.py:digits")


LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
LEAF |= st.lists(st.integers(), max_size=3).map(tuple)
KEY = st.sampled_from("abc")
PLAIN = st.dictionaries(KEY, st.dictionaries(KEY, LEAF, min_size=1), min_size=1)


@given(PLAIN)
def test_a_config_survives_json(plain):
    stored = json.loads(json.dumps(configuration.to_plain(ConfigDict(plain, type_safe=False, convert_dict=True))))
    assert configuration.from_plain(stored).to_dict() == plain


@given(PLAIN, PLAIN)
def test_differences_are_the_keys_whose_values_differ(old, new):
    flat = lambda plain: {f"{section}.{key}": v for section, keys in plain.items() for key, v in keys.items()}
    a, b = flat(old), flat(new)
    expected = {key: (a.get(key), b.get(key)) for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
    assert configuration.differences(old, new) == expected
    assert sorted(configuration.keys(old)) == sorted(a)


# --- a user's own data ------------------------------------------------------------------------------------------------


def overridden(config, **data):
    """A config of MNIST as it is where the folder of data has it, with keys of section data set as texts."""
    loaded = configuration.load(config)
    with loaded.unlocked():
        loaded.data.update(source="idx", dir="/data/mnist")
        loaded.expected = {"elbo": {"value": 1.0, "source": "a paper"}}
    configuration.override_all(loaded, [(f"data.{key}", text) for key, text in data.items()])
    return loaded


def test_a_path_alone_is_read_as_a_file_and_what_was_of_other_data_is_reset():
    for data in ({"path": "x.npy"}, {"source": "files", "path": "x.npy"}):
        config = overridden("configs/vae_mlp.py:mnist", **data)
        assert (config.data.source, config.data.path, config.data.dir) == ("files", "x.npy", "")
        assert not config.expected
    kept = overridden("configs/vae_mlp.py:mnist", cache="/c")
    assert (kept.data.source, kept.data.dir, len(kept.expected)) == ("idx", "/data/mnist", 1)
    other = overridden("configs/vae_mlp.py:mnist", dir="/mine")
    assert (other.data.source, other.data.dir, len(other.expected)) == ("idx", "/mine", 0)


def test_a_path_belongs_to_the_source_that_reads_it():
    config = configuration.load("configs/music_vae_2bar.py")
    configuration.override_all(config, [("data.path", "midi")])
    assert config.data.source == "melodies" and config.data.path == "midi"
