"""The command line: what is wrong is said in two lines, and nothing is written; what is right is done and kept."""

import json
import os
import re
import subprocess
import sys
import tempfile

import jax
import numpy as np
import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from ae_jax.commands import cli
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration, rundir, runner
from ae_jax.sweeps import directory

SCRIPTS = configuration.ROOT / "scripts"
SMOKE = "--config=configs/vae.py:smoke"


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Runs a real script in a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(home / "compiled")}

    def call(script, *flags, cwd=home):
        command = [sys.executable, str(SCRIPTS / script), *map(str, flags)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300)

    return call


@pytest.fixture(scope="module")
def trained(call, tmp_path_factory):
    """A run directory that train.py made."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    result = call("train.py", SMOKE, f"--workdir={workdir}", "--profile")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert re.search(r"^step 2/2 .*steps/s .*examples/s .*left$", result.stdout, re.MULTILINE)
    assert result.stdout.splitlines()[-1].startswith("done: step 2 ")
    return workdir


def everything_below(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(capsys, script, words, says):
    """Runs a command in this process, as a script does in its own, and checks what it says of wrong usage."""
    assert cli.run(script.removesuffix(".py"), words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert 1 <= len(said.err.splitlines()) <= 2 and said.out == ""


# --- wrong usage -----------------------------------------------------------------------------------------------------

WRONG = {
    "no workdir": ("train.py", [SMOKE], "no --workdir\nexpected the run directory"),
    "no task": ("apply.py", ["--workdir=RUN", "--output=OUT"], "no --task\nexpected what to do: encode, decode"),
    "a sweep to go on with": ("train.py", [SMOKE, "--workdir=SWEEP"], "SWEEP/seed=0"),
    "a sweep to evaluate": (
        "evaluate.py",
        ["--workdir=SWEEP"],
        "takes one run\nuse --workdir=SWEEP",
    ),
    "no config": ("train.py", ["--workdir=RUN"], "expected a config file"),
    "missing config file": ("train.py", ["--config=configs/vea.py", "--workdir=RUN"], "did you mean 'vae'"),
    "unknown flag": ("train.py", [SMOKE, "--wokdir=RUN"], "did you mean 'workdir'"),
    "stray argument": ("train.py", [SMOKE, "--workdir=RUN", "300"], "unexpected argument '300'"),
    "key without value": ("train.py", [SMOKE, "--workdir=RUN", "--config.seed"], "expected --config.KEY=VALUE"),
    "misspelt key": ("train.py", [SMOKE, "--workdir=RUN", "--config.train.stpes=5"], "did you mean 'train.steps'"),
    "key that nothing reads": ("train.py", [SMOKE, "--workdir=RUN", "--config.model.typo=1"], "model.typo"),
    "steps and epochs": (
        "train.py",
        [SMOKE, "--workdir=RUN", "--config.train.steps=5", "--config.train.epochs=1"],
        "expected one of them",
    ),
    "batch beyond the data": ("train.py", [SMOKE, "--workdir=RUN", "--config.train.batch_size=2000"], "from 1 to 1300"),
    "workdir below a file": ("train.py", [SMOKE, "--workdir=FILE/run"], "is not a directory"),
    "workdir that cannot be": ("train.py", [SMOKE, "--workdir=/proc/no/run"], "try another --workdir"),
    "no run": ("evaluate.py", ["--workdir=RUN"], "has no config.json"),
    "not a number": ("evaluate.py", ["--workdir=RUN", "--limit=all"], "limit"),
    "config of a trained run": ("evaluate.py", ["--workdir=RUN", "--config.seed=1"], "unknown flag --config"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_said_in_two_lines_before_anything_is_written(capsys, tmp_path, case):
    script, words, says = WRONG[case]
    (tmp_path / "file").touch()
    directory.begin(str(tmp_path / "sweep"), configuration.load("configs/vae.py:smoke"), {"seed=0": {"seed": "0"}})
    placed = lambda text: re.sub("RUN|FILE|SWEEP", lambda match: str(tmp_path / match[0].lower()), text)
    before = everything_below(tmp_path)
    refused(capsys, script, list(map(placed, words)), placed(says))
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize(
    "script, flags, says",
    [
        ("train.py", [SMOKE, "--config.model.latent_dim=3"], "model.latent_dim (2 there, 3 here)"),
        ("evaluate.py", ["--metrics=elbow"], "did you mean 'elbo'"),
        ("evaluate.py", ["--checkpoint=7"], "what exists: 1, 2"),
        ("evaluate.py", ["--nll_samples=7"], "use --metrics=elbo,nll"),
        ("evaluate.py", ["--metrics=nll", "--nll_samples=0"], "--nll_samples is 0"),
        ("train.py", [SMOKE, "--config.train.steps=1"], "has 2\nexpected no fewer"),
        ("plot.py", ["--figures=manifolds"], "unknown figure 'manifolds'; did you mean 'manifold'"),
        ("plot.py", ["--figures=metric_curve"], "'metric_curve' is a figure of a sweep, and this is one run"),
        ("plot.py", ["--figures=latent_noise", "--latent_noise_levels=a,1"], "expected numbers, such as 0.0,0.25"),
    ],
)
def test_a_run_is_left_as_it_is_by_wrong_usage(capsys, trained, script, flags, says):
    before = everything_below(trained)
    refused(capsys, script, [f"--workdir={trained}", *flags], says)
    assert everything_below(trained) == before


# --- wrong values, in this process ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "assignment, says",
    [
        ("train.batch_size=-1", "at least 1"),
        ("train.steps=0", "at least 1"),
        ("optimizer.name=adm", "did you mean 'adam'"),
        ("optimizer.momentum=0.9", "'optimizer.momentum'.*\n.*'adam' reads: .*learning_rate"),
        ("optimizer.players=5", "expected a section"),
        ("expected.elbo=5", "expected dict"),
        ("model.name=vea", "did you mean 'vae'"),
        ("model.encoder=mpl", "did you mean 'mlp'"),
        ("model.likelihood=normal", "what exists: .*bernoulli"),
        ("model.hidden=0", "at least 1"),
        ("objective.name=ebo", "did you mean 'elbo'"),
        ("objective.fre_bits=1", "did you mean 'objective.free_bits'"),
        ("corruption.name=nose", "what exists: "),
        ("corruption.levle=1", "levle"),
        ("data.source=digit", "did you mean 'digits'"),
        ("data.binarize=always", "what exists: dynamic, fixed, none"),
        ("data.dir=/somewhere", "unknown config key 'data.dir'.*\n.*data source 'digits' reads: nothing"),
        ("data.validation=1500", "expected less than 1500"),
        ("eval.metrics=elbow", "did you mean 'elbo'"),
        ("eval.criterion=mse", "expected one of: elbo"),
        ("weights.kull=1", "did you mean 'weights.kl'"),
        ("model.encoder=no.such.module:Encoder", "on the import path"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_written(tmp_path, assignment, says):
    config = configuration.load("configs/vae.py:smoke")
    key, _, text = assignment.partition("=")
    with pytest.raises(UserError, match=says) as caught:
        configuration.override(config, key, text)
        runner.train_run(config, str(tmp_path / "run"))
    assert 1 <= len(str(caught.value).splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_a_term_without_a_weight_is_refused(tmp_path):
    config = configuration.load("configs/vae.py:smoke")
    with config.unlocked():
        del config.weights.kl
    with pytest.raises(UserError, match="'kl' has no weight\nset weights.kl"):
        runner.train_run(config, str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


# --- right usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", lookup.choices("commands"))
def test_help_shows_examples(capsys, command):
    assert cli.run(command, ["--help"]) == 0
    said = capsys.readouterr().out
    assert f"ae-jax {command} " in said
    assert ("--trust" in said) == (command not in ("devices", "list"))  # which open no run


def test_the_help_has_a_line_for_each_name_and_hides_their_options(capsys):
    assert cli.run("evaluate", ["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in lookup.choices("metrics"))
    assert "--limit:" in said and "--nll_samples" not in said


@pytest.mark.parametrize(
    "command, name, facts",
    [
        ("evaluate", "ais", ("annealed importance sampling", "--ais_chains:", "nats", "UserError")),
        ("plot", "manifold", ("--manifold_size:", "(default: 20)")),
        ("plot", "metric_curve", ("--metric_curve_axis:",)),
        ("apply", "sample", ("--temperature:", "(default: 1.0)")),
        ("sweep", "ray", ("--ray_address:",)),
    ],
)
def test_the_help_of_one_name_has_its_options(capsys, command, name, facts):
    assert cli.run(command, [f"--help={name}"]) == 0
    said = capsys.readouterr().out
    assert [fact for fact in facts if fact not in said] == []
    assert "Args:" not in said


def test_the_help_of_an_unknown_name_suggests_what_is_meant(capsys):
    assert cli.run("plot", ["--help=latent_space"]) == 2
    assert "'scatter' or 'manifold'" in capsys.readouterr().err
    assert cli.run("train", ["--help=vae"]) == 2


@pytest.mark.parametrize(
    "command, words, meant",
    [
        ("apply", ["--task=generate", "--output=out"], "'sample'"),
        ("plot", ["--figures=latent_space"], "'scatter' or 'manifold'"),
        ("evaluate", ["--metrics=log_likelihood"], "'nll'"),
    ],
)
def test_unknown_names_are_reported_before_jax_is_imported(command, words, meant):
    call = f"cli.run({command!r}, {['--workdir=none', *words]!r})"
    code = f"import sys; from ae_jax.commands import cli; {call}; assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPTS.parent)
    assert done.returncode == 0, done.stderr
    assert meant in done.stderr


def test_a_reader_that_has_read_enough_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does once it has its lines
    command = [sys.executable, "-m", "ae_jax", "list", "metrics"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=SCRIPTS.parent)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("order", [1, -1])
def test_one_length_may_be_set_and_the_other_removed(order):
    values = flags.FlagValues()
    lookup.module("commands", "train").define_flags(values)
    words = ["--config.train.epochs=None", "--config.train.steps=200"][::order]
    config = cli.parse(["--config=deep_ae", "--workdir=run", *words], values).config()
    assert (config.train.steps, config.train.epochs) == (200, None)


def test_every_command_is_a_script_and_a_word_of_the_module(call):
    commands = {path.stem for path in SCRIPTS.glob("*.py") if "cli.main(" in path.read_text()}
    assert commands == set(lookup.choices("commands"))
    of_script = call("devices.py", "--help")
    command = [sys.executable, "-m", "ae_jax", "devices", "--help"]
    of_module = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPTS.parent)
    assert (of_script.returncode, of_script.stdout) == (of_module.returncode, of_module.stdout) == (0, of_script.stdout)


@pytest.mark.parametrize(
    "command, facts",
    [
        ("sweep", ("--trials:", "search", "(default: 100)")),
        ("sweep", ("--jobs:", "engine local", "processes", "(default: 1)")),
        ("evaluate", ("--metrics:", "(default: elbo)")),
        ("evaluate", ("--batch_size:", "examples per device call", "(default: 500)")),
        ("apply", ("--temperature:", "task sample", "standard deviation", "(default: 1.0)")),
    ],
)
def test_help_says_what_an_option_means_and_its_default(capsys, command, facts):
    cli.run(command, ["--help"])
    entries = re.split(r"\n  (?=--)", capsys.readouterr().out)
    (entry,) = [entry for entry in entries if entry.startswith(facts[0])]
    assert all(fact in " ".join(entry.split()) for fact in facts)


def test_evaluate_prints_one_json_object_and_keeps_it(call, trained):
    flags = ["--metrics=elbo,mse", "--elbo_samples=3", "--limit=1", "--checkpoint=1", "--split=train", "--profile"]
    result = call("evaluate.py", f"--workdir={trained}", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 1
    scores = json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert (scores["step"], scores["limit"], scores["elbo_samples"], scores["elbo_se"]) == (1, 1, 3, None)
    assert scores["elbo"] == pytest.approx(-scores["reconstruction"] - scores["kl"])
    assert 0 < scores["mse_per_pixel"] < 1
    assert (trained / "evaluations.jsonl").read_text() == result.stdout
    traces = list((trained / "profile").rglob("*.xplane.pb"))
    assert len(traces) == 2 and all(map(tells_of_a_program, traces))  # of the training, and of this


def tells_of_a_program(trace):
    """Whether what ran is in the trace, as JAX's profiler opens it."""
    data = jax.profiler.ProfileData.from_file(str(trace))
    return any("Execute" in event.name for plane in data.planes for line in plane.lines for event in line.events)


def test_the_same_plot_twice_has_the_same_arrays(call, trained):
    names = ("reconstructions", "scatter", "samples", "curves")
    archives = []
    for file_format in ("png", "pdf"):
        result = call("plot.py", f"--workdir={trained}", f"--figures={','.join(names)}", f"--format={file_format}")
        assert (result.returncode, result.stderr) == (0, "")
        written = [trained / "figures" / f"{name}.{file_format}" for name in names]
        assert result.stdout.split() == [str(path) for path in written]
        assert all(path.stat().st_size > 1000 for path in written)
        archives.append({name: (trained / "figures" / f"{name}.npz").read_bytes() for name in names})
    assert archives[0] == archives[1]


def test_a_module_of_the_users_own_is_found_from_its_folder(call, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import flax.linen as nn\n\n\n"
        "class Encoder(nn.Module):\n    size: int = 4\n\n    @nn.compact\n    def __call__(self, x):\n"
        "        return nn.tanh(nn.Dense(self.size)(x.reshape(len(x), -1)))\n"
    )
    flags = [SMOKE, "--workdir=run", "--config.model.encoder=mine:Encoder", "--config.model.size=5"]
    result = call("train.py", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    stored, _ = rundir.RunDir(tmp_path / "run").read()
    assert stored.model.encoder == "mine:Encoder"


def test_numbers_that_stay_non_finite_end_the_run_and_name_the_last_good_checkpoint(call, tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    values[:, 0] = 1e30  # its square is beyond float32
    np.save(tmp_path / "data.npy", values)
    flags = ["--config.data.source=files", f"--config.data.path={tmp_path / 'data.npy'}", "--config.data.validation=0"]
    flags += ["--config.model.likelihood=gaussian", "--config.eval.metrics=", "--config.eval.criterion="]
    flags += ["--config.train.steps=30", "--config.train.max_bad_steps=5", "--config.train.checkpoint_every=2"]
    result = call("train.py", SMOKE, f"--workdir={tmp_path / 'run'}", *flags)
    assert result.returncode == 1, result.stderr
    first, second = result.stderr.splitlines()
    assert "5 non-finite steps in a row up to step 5; not finite:" in first
    assert "loss" in first and "reconstruction" in first
    assert second == f"last good checkpoint: step 4 in {tmp_path / 'run' / 'checkpoints'}"


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), min_size=1, max_size=4, unique_by=tuple)
)
def test_commas_within_the_names_of_runs_do_not_split(runs):
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/" + ",".join(f"key{i}={i}" for i in run) for run in runs]
        for name in names:
            os.mkdir(name)
        assert cli.paths(",".join(names).split(",")) == names
        assert cli.paths(["elbo", *names[0].split(","), "other"]) == ["elbo", names[0], "other"]
