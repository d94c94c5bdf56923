"""Names become objects: ours, or the user's; a miss says what there is."""

import importlib
import pkgutil

import pytest

from ae_jax import objectives
from ae_jax.core import lookup
from ae_jax.core.errors import UserError, nearest
from ae_jax.models import vae
from ae_jax.models.nets import mlp
from ae_jax.objectives.elbo import elbo
from ae_jax.training import optim


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package of the user's own: theirs.good, theirs.broken (it imports what is not there)."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "good.py").write_text(
        "import jax\nfrom jax import jit\nclass Encoder: pass\ndef loss(outputs, batch): return {}\n"
    )
    (tmp_path / "theirs" / "broken.py").write_text("import the\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("kind", lookup.REGISTRIES)
def test_the_registry_is_the_files_of_a_folder_that_define_the_name(kind):
    folder = importlib.import_module(lookup.package(kind))
    modules = {file.name: importlib.import_module(f"{folder.__name__}.{file.name}") for file in files_of(folder)}
    attribute = lookup.REGISTRIES[kind][1] or "Encoder"
    defining = [name for name, module in modules.items() if hasattr(module, attribute)]
    assert list(lookup.choices(kind, attribute)) == defining and defining


def files_of(folder):
    return [file for file in pkgutil.iter_modules(folder.__path__) if not file.ispkg]


def test_names_of_ours():
    assert lookup.find("models", "vae", "Model") is vae.Model
    assert lookup.find("nets", "mlp", "Encoder") is mlp.Encoder
    assert lookup.function(objectives, "elbo", ("outputs", "batch"), "objective") is elbo


def test_names_of_the_users(theirs):
    found = lookup.find("models", "theirs.good:Encoder", "Model")
    assert (found.__module__, found.__name__) == ("theirs.good", "Encoder")
    assert lookup.function(objectives, "theirs.good:loss", ("outputs", "batch"), "objective").__name__ == "loss"


MISSES = {
    "unknown model 'vea'; did you mean 'vae'?\nwhat exists: .*ae.*vae": lambda: lookup.find("models", "vea", "Model"),
    "unknown net 'words'\nwhat exists: conv.*mlp": lambda: lookup.find("nets", "words", "Encoder"),
    "'manifold' is a figure of one run, and this is a sweep\nfigures of a sweep: heat_map": (
        lambda: lookup.find("sweep_figures", "manifold", "arrays")
    ),
    "objective 'elb'; did you mean 'elbo'.*\nwhat exists: .*elbo.*reconstruction": (
        lambda: lookup.function(objectives, "elb", ("outputs", "batch"), "objective")
    ),
    "no module 'nowhere.at_all'.*nowhere.at_all:Encoder.*\n.*PYTHONPATH": lambda: lookup.imported(
        "nowhere.at_all:Encoder"
    ),
    "no module 'theirs.bad'": lambda: lookup.imported("theirs.bad:Encoder"),
    "name in theirs.good 'Encode'; did you mean 'Encoder'?\nwhat exists: Encoder, loss$": lambda: lookup.imported(
        "theirs.good:Encode"
    ),
    "unknown optimizer 'adm'; did you mean 'adam'": lambda: optim.make_tx({"name": "adm", "learning_rate": 1.0}),
    "unknown config key 'optimizer.b3'.*\n.*'adam' reads: .*eps": lambda: optim.make_tx(
        {"name": "adam", "learning_rate": 1.0, "b3": 0.5}
    ),
}


@pytest.mark.parametrize("message", MISSES)
def test_a_miss_says_what_there_is(message, theirs):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        MISSES[message]()


def test_a_users_module_that_is_broken_keeps_its_traceback(theirs):
    with pytest.raises(ModuleNotFoundError, match="No module named 'the'"):
        lookup.imported("theirs.broken:Encoder")


def test_objectives_are_those_functions_that_read_outputs():
    with pytest.raises(UserError) as error:
        lookup.function(objectives, "kl", ("outputs", "batch"), "objective")
    assert "what exists: " in str(error.value) and "kl" not in str(error.value).split("what exists: ")[1].split(", ")


def test_nearest():
    assert nearest("adm", ["sgd", "adam"]) == "; did you mean 'adam'?"
    assert nearest("completely different", ["sgd", "adam"]) == ""
