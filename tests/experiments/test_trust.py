"""A stored config runs no code outside this package but that of modules which are trusted; nothing is called unseen."""

import json
import pickle
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

import ae_jax
from ae_jax.commands import cli
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, experiment, parts, runner, trusted
from ae_jax.sweeps import directory, launch, lockstep
from ae_jax.sweeps.engines import Engine

CONFIGS = [path.stem for path in sorted((configuration.ROOT / "configs").glob("[a-z]*.py")) if path.stem != "common"]
# {key: (package that is its registry, a name in it, what the name's module defines)}, as a stored config has them.
ROLES = {"name": ("models", "Model"), **parts.NETS, **parts.PARTS}
BARE = {"name": "vae", "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
BARE |= {"posterior": "diagonal_normal", "prior": "standard_normal", "quantizer": "vq"}
OURS = {f"model.{role}": (lookup.package(kind), BARE[role], defined) for role, (kind, defined) in ROLES.items()}
OURS |= {
    "data.source": (lookup.package("sources"), "digits", "load"),
    "objective.name": ("ae_jax.objectives", "elbo", "elbo"),
    "corruption.name": ("ae_jax.data", "corruptions", "none"),
}


def every_key():
    """Every key that any config of this repository stores, and every part that a model section may name."""
    stored = {key for name in CONFIGS for key in configuration.keys(configuration.load(f"configs/{name}.py:smoke"))}
    return sorted(stored | set(OURS) | {"optimizer.players.encoder.name"})


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A run of a small VAE, all of whose parts are named."""
    config = configuration.load("configs/vae.py:smoke")
    config.model.update(posterior="diagonal_normal", prior="standard_normal")
    workdir = tmp_path_factory.mktemp("trust") / "honest"
    runner.train_run(config, str(workdir), say=lambda *_, **__: None)
    return workdir


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder. Its evilmod.py leaves a file when it is imported; all in it is as this package has it."""
    lines = [
        f"from {package}.{name} import {defined} as {key.replace('.', '_')}"
        for key, (package, name, defined) in OURS.items()
    ]
    lines += ["import ae_jax as module", "from os import system", "from shutil import rmtree"]
    lines += [f"open({str(tmp_path / 'imported')!r}, 'w').close()"]
    (tmp_path / "evilmod.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("evilmod", None)


@pytest.fixture
def evil(honest, here):
    """A copy of the run in which every part is named as one of evilmod."""
    return stored(honest, here / "evil", {key: f"evilmod:{key.replace('.', '_')}" for key in OURS})


def stored(run, copy, changes):
    """A copy of the run whose stored config has these values under dotted keys."""
    shutil.copytree(run, copy)
    return store(run, copy, changes)


def store(run, copy, changes):
    """Write the config of a run, with these values under dotted keys, into the directory `copy`."""
    content = json.loads((run / "config.json").read_text())
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = content["config"]
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    (copy / "config.json").write_text(json.dumps(content))
    return copy


def not_imported(folder):
    return "evilmod" not in sys.modules and not (folder / "imported").exists()


def says_what_to_trust(error, key="", module="evilmod"):
    lines = str(error.value).splitlines()
    assert len(lines) == 2 and key in lines[0] and repr(module) in lines[0] and f"--trust={module}" in lines[1]
    return True


# --- what a stored config names ---------------------------------------------------------------------------------------


def test_under_no_key_does_a_stored_config_name_a_module(honest, here):
    keys = every_key()
    assert {"data.source", "model.posterior", "optimizer.name", "eval.metrics", "weights.kl"} <= set(keys)
    for key in keys:
        for value in ("evilmod:X", ["elbo", "evilmod:X"]):
            run = store(honest, here, {key: value})
            with pytest.raises(UserError) as error:
                ae_jax.load(str(run))
            assert says_what_to_trust(error, key) and not_imported(here)


def test_no_other_form_of_a_name_is_imported(here):
    for text in ("evilmod:", "evilmod:X ", " evilmod:X", "evilmod.:X", "evilmod:X.y", ".evilmod:X", "evilmod:X\n"):
        assert trusted.modules({"model": {"name": text}}) == ()
        with pytest.raises(UserError, match="package.module:Name"):
            lookup.imported(text)
    assert not_imported(here)


@pytest.mark.parametrize("source", ["ae_jax.experiments.configuration:_module", "shutil:rmtree"])
def test_neither_this_package_by_path_nor_the_standard_library_is_trusted(honest, here, source):
    victim = here / "victim.py"
    victim.write_text("import evilmod")
    run = stored(honest, here / "run", {"data.source": source, "data.name": str(victim), "data.path": str(here)})
    with pytest.raises(UserError) as error:
        list(analysis.load(str(run)).data.test)
    assert says_what_to_trust(error, "data.source", source.partition(":")[0])
    assert victim.exists() and not_imported(here)


def test_what_is_trusted_is_what_it_says(honest, evil, here):
    ours, our_variables, _ = ae_jax.load(str(honest))
    for trust in (("evil",), ("evilmod.sub",), ("",)):
        with pytest.raises(UserError, match="--trust=evilmod"):
            ae_jax.load(str(evil), trust=trust)
    assert not_imported(here)
    for trust in (("other", "evilmod"), "other,evilmod"):
        model, variables, _ = ae_jax.load(str(evil), trust=trust)
        assert type(model) is type(ours)
        jax.tree.map(np.testing.assert_array_equal, variables, our_variables)
    scores = [
        analysis.evaluate(run.experiment, run.variables, ["elbo"], run.data)
        for run in (analysis.load(str(honest), limit=20), analysis.load(str(evil), limit=20, trust=("evilmod",)))
    ]
    assert scores[0] == scores[1] and (here / "imported").exists()
    trusted.check({"model": {"name": "package.module:X"}}, ("package",), "config.json")  # and what is in it


# --- other runs that a command opens ----------------------------------------------------------------------------------


def test_the_trust_covers_the_runs_beside(honest, evil, here):
    open_run = analysis.load(str(honest), limit=20).data.open_run
    with pytest.raises(UserError) as error:
        open_run(str(evil))
    assert says_what_to_trust(error) and not_imported(here)
    opened = analysis.load(str(honest), limit=20, trust=("evilmod",)).data.open_run(str(evil))
    assert opened.model.spec.shape == (8, 8, 1)


def test_a_run_to_start_from_is_trusted_as_the_command_that_starts(honest, evil, here):
    config = configuration.load("configs/vae.py:smoke")
    config.model.update(posterior="diagonal_normal", prior="standard_normal")
    config.train.init_from = str(evil)
    with pytest.raises(UserError) as error:
        runner.first_state(experiment.build(config))
    assert says_what_to_trust(error) and not_imported(here)
    runner.train_run(config, str(here / "child"), say=lambda *_, **__: None, trust=("evilmod",))
    config.objective.name = "evilmod:objective_name"  # what the own command names, the run beside may name too
    runner.first_state(experiment.build(config))


def test_workers_of_a_sweep_receive_the_trust(evil, here):
    config = configuration.load("configs/vae.py:smoke")
    config.model.update(posterior="diagonal_normal", prior="standard_normal")
    config.train.init_from = str(evil)

    def train_elsewhere(tasks, ended, machines):
        return all(lockstep.train_task(task, say=lambda *_, **__: None) for task in pickle.loads(pickle.dumps(tasks)))

    arguments = (config, [{"seed": "0"}, {"seed": "1"}], "map", Engine(train_elsewhere))
    with pytest.raises(UserError) as error:
        launch.run(launch.make_plan(str(here / "sweep"), *arguments))
    assert says_what_to_trust(error) and not_imported(here)
    folder = launch.run(launch.make_plan(str(here / "sweep"), *arguments, trust=("evilmod",)))
    assert [folder.result(name)["status"] for name in folder.read()[1]] == ["done", "done"]


def test_a_sweep_that_goes_on_trains_no_runs_that_its_command_would_not(here):
    base = configuration.load("configs/vae.py:smoke")
    base.data.source = "digits"
    strange = {"a": {"objective.name": "elbo"}, "b": {"objective.name": "'evilmod:objective_name'"}}
    folder = directory.begin(str(here / "sweep"), base, strange)
    directory.begin_group(folder.programs / "p", list(strange), "map")
    with pytest.raises(UserError) as error:
        launch.make_plan(str(folder.path), base, [{"objective.name": "elbo"}])
    assert says_what_to_trust(error, "objective.name") and not_imported(here)
    directory.begin(str(here / "other"), base, {"../outside": {"seed": "0"}})
    with pytest.raises(UserError, match="'../outside' is no name"):
        launch.make_plan(str(here / "other"), base, [{"seed": "0"}])


# --- objects of another kind ------------------------------------------------------------------------------------------


MAY_BE_OWN = {"models", "nets", "likelihoods", "posteriors", "priors", "quantizers", "sources", "samplers"}


@pytest.mark.parametrize("kind", sorted(set(lookup.REGISTRIES) - MAY_BE_OWN))
def test_of_other_kinds_there_are_none_but_ours(kind, here):
    with pytest.raises(UserError, match="what exists: "):
        lookup.find(kind, "evilmod:system", lookup.REGISTRIES[kind][1])
    assert not_imported(here)


@pytest.mark.parametrize("key", OURS)
@pytest.mark.parametrize("name", ["system", "rmtree", "module"])
def test_what_is_of_another_kind_is_not_called(key, name, here):
    """Not even where the config is the user's own, and names it by mistake."""
    config = configuration.load(f"configs/{'vq_vae' if key == 'model.quantizer' else 'vae'}.py:smoke")
    configuration.override(config, key, f"evilmod:{name}")
    if key == "data.source":
        config.data.path = str(here)
    with pytest.raises(UserError, match="(use|expected) a (function|class that inherits)"):
        experiment.build(config)
    assert (here / "evilmod.py").exists()


def test_a_source_returns_a_spec_and_splits(here):
    (here / "evilmod.py").write_text("def load():\n    return {}\n")
    config = configuration.load("configs/vae.py:smoke")
    config.data.source = "evilmod:load"
    with pytest.raises(UserError, match="expected .DataSpec, splits"):
        experiment.build(config)


def test_a_sampler_has_codes_and_a_key(here):
    with pytest.raises(UserError, match="codes, key"):
        lookup.find("samplers", "evilmod:system", "fit")


# --- the commands ----------------------------------------------------------------------------------------------------


def call(script, *flags):
    """Run a real script in the current folder."""
    command = [sys.executable, str(configuration.ROOT / "scripts" / script), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_victim_folder_survives(honest, here):
    victim = here / "victim"
    victim.mkdir()
    run = stored(honest, here / "run", {"data.source": "shutil:rmtree", "data.path": str(victim)})
    done = call("evaluate.py", f"--workdir={run}")
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 2
    assert "'shutil'" in done.stderr and "--trust=shutil" in done.stderr
    with pytest.raises(UserError, match="'shutil:rmtree' is no data source"):
        list(analysis.load(str(run), trust=("shutil",)).data.test)
    assert victim.is_dir()


def test_a_module_in_the_current_folder_is_trusted_by_the_flag(evil, here):
    done = call("evaluate.py", f"--workdir={evil}", "--limit=8", "--trust=evilmod")
    assert done.returncode == 0 and "elbo" in json.loads(done.stdout), done.stderr
    assert (here / "imported").exists()


def test_a_metric_is_one_of_this_package(honest, capsys):
    assert cli.run("evaluate", [f"--workdir={honest}", "--metrics=os:system"]) == 2
    said = capsys.readouterr()
    assert "unknown metric 'os:system'" in said.err and len(said.err.splitlines()) == 2 and said.out == ""
