"""Sweeps: axes and plans by their laws; runs trained together against the same runs trained alone; nothing is lost."""

import csv
import functools
import json
import shutil
import signal

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental.compilation_cache import compilation_cache
from small_sweeps import STEPS, Sweeps, assert_same_run, base, leaves, state_of, train_sweep

from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, rundir, runner
from ae_jax.sweeps import axes, directory, launch
from ae_jax.sweeps.plan import Group, group_runs, make_runs

AXES = ("weights.kl=1,4", "optimizer.learning_rate=0.001,1e30")  # half of them cannot but diverge


@functools.cache
def alone(folder, **axes):
    """The directory that train.py's function leaves of one run."""
    path = folder / "alone" / ",".join(f"{key}={text}" for key, text in axes.items())
    runner.train_run(base(**axes), str(path), say=lambda *_, **__: None)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all sweeps of this file are, and what they compile."""
    folder = tmp_path_factory.mktemp("sweeps")
    options = {"jax_compilation_cache_dir": str(folder / "compiled"), "jax_persistent_cache_min_compile_time_secs": 0.2}
    before = {name: getattr(jax.config, name) for name in options}
    for settings in (options, before):
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if settings is options:
            yield folder


@pytest.fixture(scope="module")
def swept(folder):
    """A sweep of four runs in one program."""
    return train_sweep(folder / "swept", *AXES)


# --- axes -------------------------------------------------------------------------------------------------------------


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_a_range_counts_as_pythons(start, stop, step):
    expected = list(map(str, range(start, stop, step)))
    if expected:
        assert axes.parse(f"seed={start}:{stop}:{step}") == ("seed", expected)
    else:
        with pytest.raises(UserError, match="empty"):
            axes.parse(f"seed={start}:{stop}:{step}")


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 20))
def test_spaced_values_are_numpys(start, end, count):
    for form, numpys in (("lin", np.linspace), ("log", np.geomspace)):
        _, texts = axes.parse(f"weights.kl={form}:{start!r}:{end!r}:{count}")
        np.testing.assert_allclose(
            np.array(texts, float), numpys(start, end, count), rtol=1e-5, atol=1e-5 * max(start, end)
        )


@given(st.lists(st.text("abc01,:()[]= .-", min_size=1), min_size=1, max_size=5))
def test_what_stands_in_quotes_is_one_value(values):
    assert axes.parse(f"data.path={','.join(map(repr, values))}") == ("data.path", values)


def test_commas_in_brackets_do_not_split_and_schedules_are_values():
    assert axes.parse("model.hidden=(500, 500),[64]")[1] == ["(500, 500)", "[64]"]
    assert axes.parse("weights.kl=linear:0:1:100,2,0:2")[1] == ["linear:0:1:100", "2", "0", "1"]
    assert axes.parse("weights.kl='linear:0:1:100'")[1] == ["linear:0:1:100"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_a_grid_is_the_product_and_draws_are_of_it(sizes, data):
    spans = {f"k{i}": [f"{i}.{j}" for j in range(size)] for i, size in enumerate(sizes)}
    grid = axes.Grid(spans)
    runs = [tuple(run.items()) for run in grid]
    assert len(runs) == len(grid) == np.prod(sizes) == len(set(runs))
    count = data.draw(st.integers(1, len(grid)))
    drawn = [tuple(run.items()) for run in grid.draw(count)]
    assert len(set(drawn)) == count and set(drawn) <= set(runs)
    assert [tuple(run.items()) for run in grid.draw(len(grid))][:count] == drawn


def test_zipped_axes_advance_together():
    runs = axes.assignments(["a=1,2", "b=5,6,7", "c=3,4"], zipped=["c", "a"])
    assert [tuple(run.values()) for run in runs] == [(a, b, c) for a, c in (("1", "3"), ("2", "4")) for b in "567"]


def test_a_csv_names_the_runs(tmp_path):
    (tmp_path / "runs.csv").write_text('\ufeffweights.kl,model.hidden\n1,"(8, 8)"\nlinear:0:1:9,16\n')
    runs = axes.assignments([], path=str(tmp_path / "runs.csv"))
    assert runs == [
        {"weights.kl": "1", "model.hidden": "(8, 8)"},
        {"weights.kl": "linear:0:1:9", "model.hidden": "16"},
    ]


def test_a_config_proposes_a_sweep():
    proposed = configuration.load_sweep("configs/beta_vae.py:digits")
    assert len(axes.assignments([], proposed)) == 12
    assert len(axes.assignments(["seed=0:2"], proposed)) == 2
    with pytest.raises(UserError, match="has no sweep"):
        axes.assignments([], configuration.load_sweep("configs/vae.py:digits"))


# --- the plan ---------------------------------------------------------------------------------------------------------


def groups_of(*texts, **overrides):
    runs = make_runs(base(**overrides), axes.assignments(texts))
    return [[run.name for run in group.runs] for group in group_runs(runs)]


@pytest.mark.parametrize(
    "axis",
    [
        *("seed=0,1", "weights.kl=1,0.5", "weights.kl=1,linear:0:1:9,cosine:1:2:3", "optimizer.learning_rate=0.1,0.2"),
        *("train.ema=0.9,0.99", "optimizer.clip=1,2.5", "optimizer.b1=0.9,0.8"),
    ],
)
def test_numbers_share_a_program(axis):
    assert len(groups_of(axis)) == 1


@pytest.mark.parametrize(
    "axis",
    [
        *("model.latent_dim=2,3", "train.ema=0,0.9", "optimizer.clip=None,1"),
        *("optimizer.name=adam,lion", "train.batch_size=32,64", "data.validation=200,100", "objective.num_samples=1,2"),
        "optimizer.learning_rate='optax.constant_schedule(value=0.1)','optax.constant_schedule(value=0.2)'",
    ],
)
def test_what_is_fixed_in_tracing_splits(axis):
    assert len(groups_of(axis)) == 2


def test_runs_whose_data_depend_on_the_seed_do_not_share_a_program():
    assert groups_of("seed=0,1", "weights.kl=1,2", **{"data.binarize": "fixed"}) == [
        ["seed=0,weights.kl=1", "seed=0,weights.kl=2"],
        ["seed=1,weights.kl=1", "seed=1,weights.kl=2"],
    ]
    assert len(groups_of("corruption.level=0.1,0.2", **{"corruption.name": "masking"})) == 1


@given(st.integers(1, 40), st.integers(1, 12))
def test_parts_are_even_and_none_is_too_large(count, most):
    parts = Group(tuple(range(count))).parts(most)
    assert [run for part in parts for run in part.runs] == list(range(count))
    sizes = [len(part.runs) for part in parts]
    assert max(sizes) <= most and len(sizes) == -(-count // most)


def test_long_names_and_paths_become_a_number_and_a_digest():
    (short, long) = make_runs(base(), [{"data.path": "a"}, {"data.path": "a" * 100}])
    assert short.name == "data.path=a" and long.name.startswith("0001-") and len(long.name) == 13
    (bytes_,) = make_runs(base(), [{"data.path": "漢" * 40}])  # of three bytes each
    assert bytes_.name.startswith("0000-")
    (path,) = make_runs(base(), [{"data.path": "/a/b"}])
    assert path.name.startswith("0000-")


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["map", "threads"])
def test_on_its_own_every_run_has_the_bytes_that_it_has_alone(folder, swept, way):
    there = swept if way == "map" else train_sweep(folder / "threads", *AXES, way=way)
    for kl in ("1", "4"):
        name = f"weights.kl={kl},optimizer.learning_rate=0.001"
        assert_same_run(there.path / name, alone(folder, **{"weights.kl": kl, "optimizer.learning_rate": "0.001"}))
        assert there.result(name)["status"] == "done"


@pytest.mark.parametrize(("way", "dims"), [("map", "2,3,4"), ("threads", "2,3"), ("vmap", "2,3")])
def test_there_are_as_many_compilations_as_programs(tmp_path, way, dims):
    """Those that measure how long training will take are those that train."""
    compilations = []
    listen = lambda event, _, fun_name="", **__: (
        event.endswith("backend_compile_duration") and compilations.append(fun_name)
    )
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        drawn = axes.assignments([f"model.latent_dim={dims}", "seed=0:3"])
        plan, _ = launch.describe(launch.make_plan(str(tmp_path), base(**{"train.steps": "20"}), drawn, way))
        launch.run(plan)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compilations.count("jit(run)") == len(dims.split(","))


def test_a_run_that_diverges_is_marked_and_the_others_go_on(swept):
    with swept.results.open() as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert len(rows) == 4
    for name, row in rows.items():
        if row["optimizer.learning_rate"] == "1e30":
            assert row["status"] == "failed" and "3 non-finite steps in a row" in row["reason"]
        else:
            last = [line for line in rundir.read_lines(swept.run(name).metrics) if line["split"] == "validation"]
            assert row["status"] == "done" and float(row["final.elbo"]) == last[-1]["elbo"]
            assert float(row["best.elbo"]) == max(line["elbo"] for line in last)
            assert float(row["seconds"]) > 0
    assert not swept.programs.exists()


def test_a_run_that_cannot_be_evaluated_is_marked_and_the_others_go_on(tmp_path, monkeypatch):
    score = runner.score

    def of_finite_codes(built, state, lines, data):
        if lines[-1]["loss"] < 0:
            raise ValueError("Input contains NaN.\nMore.")
        return score(built, state, lines, data)

    monkeypatch.setattr(runner, "score", of_finite_codes)
    found = train_sweep(tmp_path / "sweep", "weights.kl=1,-100")
    assert found.result("weights.kl=1")["status"] == "done"
    failed = found.result("weights.kl=-100")
    assert failed["status"] == "failed" and failed["reason"].endswith("ended in ValueError: Input contains NaN.")


def test_what_a_kill_or_a_power_cut_has_left_is_no_obstacle(tmp_path):
    found = train_sweep(tmp_path / "sweep", "seed=0:2")
    left = found.programs / "of_old"
    left.mkdir(parents=True)
    (left / "program.json").write_text('{"runs": ["seed=0"], "way": "map"}')
    (found.programs / "cut_short").mkdir()
    (found.programs / "cut_short" / "program.json").write_text("")
    found.run("seed=1").result.write_text("")
    train_sweep(tmp_path / "sweep", "seed=0:2")
    assert [folder.name for folder in found.programs.iterdir()] == ["cut_short"]  # it may hold checkpoints
    assert found.result("seed=1")["status"] == "done"


def test_a_kill_while_a_program_is_removed_leaves_no_checkpoint_to_go_on_from(tmp_path, monkeypatch):
    found = train_sweep(tmp_path / "sweep", "seed=0:2")
    left = found.programs / "ended"
    (left / "checkpoints").mkdir(parents=True)
    (left / "program.json").write_text('{"runs": ["seed=0"], "way": "map"}')
    remove = shutil.rmtree

    def killed(path, **options):
        remove(path, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "rmtree", killed)
        directory.clear_ended(found)
    assert [path.name for path in left.iterdir()] == ["program.json"]
    directory.clear_ended(found)
    assert not found.programs.exists()


def test_finished_runs_are_not_run_again_and_further_values_are(folder, swept):
    before = {path: path.stat().st_mtime_ns for path in swept.path.rglob("result.json")}
    train_sweep(folder / "swept", "weights.kl=3,1", "optimizer.learning_rate=0.001")
    after = {path: path.stat().st_mtime_ns for path in swept.path.rglob("result.json")}
    assert len(after) == len(before) + 1 and after | before == after
    with swept.results.open() as file:
        assert len(list(csv.DictReader(file))) == 5


def test_every_run_directory_is_complete(swept):
    path = swept.path / "weights.kl=1,optimizer.learning_rate=0.001"
    newest, best = (analysis.load(str(path), checkpoint=which) for which in ("newest", "best"))
    assert newest.context["step"] == STEPS and best.context["step"] % 20 == 0
    assert (path / "versions.json").exists() and list((path / "tensorboard").iterdir())
    timings = rundir.read_lines(path / "timings.jsonl")
    assert [line["step"] for line in timings] == list(range(10, STEPS + 1, 10))
    assert [line["step"] for line in timings if line.get("with_compilation")] == [10]


def test_side_by_side_runs_differ_by_rounding_alone_and_one_that_diverges_leaves_the_others(folder):
    ways = {way: train_sweep(folder / way, *AXES, way=way, **{"train.steps": "20"}) for way in ("map", "vmap")}
    for name, settings in ways["vmap"].read()[1].items():
        one, other = (state_of(folder / way / name) for way in ways)
        status = "failed" if settings["optimizer.learning_rate"] == "1e30" else "done"
        assert {ways[way].result(name)["status"] for way in ways} == {status}
        if status == "done":
            assert one.step == other.step == 20
            for a, b in zip(leaves(one.params), leaves(other.params), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweeps(folder):
    return Sweeps(folder)


def test_killed_and_stopped_it_ends_in_the_same_bytes(sweeps):
    flags = [f"--axis={axis}" for axis in AXES] + ["--way=map"]
    status, _, _ = sweeps.finish("whole", *flags)
    assert status == 1  # two runs failed
    status, _ = sweeps.interrupt(signal.SIGKILL, 60, "broken", *flags)
    assert status == -signal.SIGKILL
    status, said = sweeps.interrupt(signal.SIGTERM, 210, "broken", *flags)
    assert status == 1 and "the same command" in said.splitlines()[-1]
    name = "weights.kl=4,optimizer.learning_rate=0.001"
    stopped = directory.SweepDir(sweeps.folder / "broken").result(name)
    assert stopped["status"] == "stopped" and state_of(sweeps.folder / "broken" / name).step < 450
    status, said, _ = sweeps.finish("broken", *flags)
    assert status == 1 and "going on from step" in said
    for kl in (1, 4):
        name = f"weights.kl={kl},optimizer.learning_rate=0.001"
        assert_same_run(sweeps.folder / "broken" / name, sweeps.folder / "whole" / name)


# --- wrong usage ------------------------------------------------------------------------------------------------------

WRONG = {
    "unknown key": (["weights.kl=1", "train.stpes=1,2"], "did you mean 'train.steps'"),
    "a key that nothing reads": (["weights.kll=1,2"], "did you mean 'weights.kl'"),
    "an empty axis": (["seed="], "is empty"),
    "an empty value": (["seed=1,,2"], "has an empty value"),
    "devices of its own": (["mesh.fsdp=1,2"], "mesh.fsdp=2 in a sweep"),
    "an empty range": (["seed=3:3"], "is empty"),
    "no values": (["seed"], "has no values"),
    "an unparsable value": (["seed=0,many"], "expected a whole number"),
    "an unparsable schedule": (["weights.kl=linear:0:1"], "is not a schedule"),
    "an unparsable span": (["weights.kl=log:0:1:5"], "not above 0"),
    "an open bracket": (["model.hidden=(8,8"], "inside brackets"),
    "a value out of range": (["seed=-1:2"], "at least 0"),
    "the same run twice": (["weights.kl=1,2,1.0"], "the same run twice"),
    "two axes of a key": (["seed=1", "seed=2"], "two axes of 'seed'"),
    "too many runs": (["seed=0:20000"], "20,000 runs, and --max_runs=10000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_axes_are_refused_before_anything_is_written(tmp_path, case):
    texts, says = WRONG[case]
    with pytest.raises(UserError, match=says) as caught:
        train_sweep(tmp_path / "sweep", *texts)
    assert 1 <= len(str(caught.value).splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_the_script_says_it_in_two_lines_with_status_2(sweeps):
    status, said, wrong = sweeps.finish("wrong", "--axis=train.stpes=1,2")
    assert (status, said, len(wrong.splitlines())) == (2, "", 2)
    assert not (sweeps.folder / "wrong").exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(sweeps):
    one_value = "--axis=train.keep=3"  # is neither
    status, said, _ = sweeps.finish("dry", "--axis=train.log_every=5,10", "--axis=seed=0:2", one_value, "--dry_run")
    assert status == 0 and said.splitlines()[:3] == [
        "4 runs in 2 programs",
        "  traced, so that it varies inside a program: seed",
        "  fixed, so that it splits programs: train.log_every (5, 10)",
    ]
    assert not (sweeps.folder / "dry").exists()


@pytest.mark.parametrize(
    "texts, overrides, says",
    [
        (["weights.kl=1"], {}, "axes .'weights.kl, optimizer.learning_rate' there, 'weights.kl' here"),
        (["weights.kl=1", "optimizer.learning_rate=0.1"], {"model.hidden": "16"}, "model.hidden .*8.* there"),
    ],
)
def test_a_directory_of_another_plan_is_refused(folder, swept, texts, overrides, says):
    before = {path: path.stat().st_mtime_ns for path in swept.path.rglob("*")}
    with pytest.raises(UserError, match=says):
        train_sweep(folder / "swept", *texts, **overrides)
    with pytest.raises(UserError, match="holds a single run"):
        train_sweep(next(swept.path.glob("*/config.json")).parent, *texts)
    assert {path: path.stat().st_mtime_ns for path in swept.path.rglob("*")} == before


def test_the_plan_is_kept_with_the_sweep(swept):
    stored = json.loads(swept.plan.read_text())
    assert stored["config"] == configuration.to_plain(base())
    assert stored["runs"]["weights.kl=1,optimizer.learning_rate=0.001"] == {
        "weights.kl": "1",
        "optimizer.learning_rate": "0.001",
    }
