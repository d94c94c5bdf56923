"""Engines: processes of this machine, and a Ray cluster of two nodes of which one dies; all in the same bytes."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from small_sweeps import Sweeps, assert_same_run, train_sweep

from ae_jax.core.errors import UserError
from ae_jax.sweeps.directory import SweepDir
from ae_jax.sweeps.engines import local, ray

AXES = ("model.latent_dim=2,3", "seed=0,1")  # two compiled groups


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    return Sweeps(tmp_path_factory.mktemp("engines"))


def flags(*more):
    return [*(f"--axis={axis}" for axis in AXES), "--way=map", *more]


@pytest.fixture(scope="module")
def here(sweeps):
    """The sweep by this process."""
    return train_sweep(sweeps.folder / "here", *AXES, **{"train.steps": "450"})


def assert_same_sweep(here, path):
    """The sweep at this path has ended, in the same bytes."""
    there = SweepDir(path)
    assert len(here.read()[1]) == 4 and not there.programs.exists()
    for run in here.read()[1]:
        assert there.result(run)["status"] == "done"
        versions = json.loads(there.run(run).versions.read_text())
        assert versions["script"] == "sweep.py" and "--way=map" in versions["flags"]  # wherever it was trained
        assert_same_run(there.path / run, here.path / run)


def workers(process):
    """The processes that it has begun to train in."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux which processes there are")
def test_a_process_that_dies_ends_the_sweep_which_goes_on_later(sweeps):
    process = sweeps.start("jobs", *flags("--jobs=2"))
    sweeps.reach(process, "jobs", 30)
    os.kill(workers(process)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1 and "a process that trained a compiled group died" in said


def test_processes_are_stopped_together_and_go_on_to_the_same_bytes(sweeps, here):
    status, said = sweeps.interrupt(signal.SIGTERM, 60, "jobs", *flags("--jobs=2"), all_processes=True)  # as Slurm does
    assert status == 1 and "the same command" in said.splitlines()[-1]
    assert ",stopped," in SweepDir(sweeps.folder / "jobs").results.read_text()
    status, said, _ = sweeps.finish("jobs", *flags("--jobs=2"))
    assert status == 0 and "going on from step" in said
    assert_same_sweep(here, sweeps.folder / "jobs")


@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning")  # by which Ray starts its nodes, and execs at once
def test_a_node_that_dies_costs_what_was_under_way_on_it(sweeps, here, monkeypatch):
    monkeypatch.setenv("RAY_worker_niceness", "0")
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="pip install -e .[ray]")
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=small)
    try:
        node = cluster.add_node(**small)
        process = sweeps.start("ray", *flags("--engine=ray", f"--ray_address={cluster.address}", "--ray_patience=200"))
        sweeps.reach(process, "ray", 30, programs=2)
        cluster.remove_node(node, allow_graceful=False)
        said, wrong = process.communicate(timeout=300)
        assert process.returncode == 0, wrong
        assert "going on from step" in said
    finally:
        cluster.shutdown()
    assert_same_sweep(here, sweeps.folder / "ray")


def test_without_a_cluster_or_without_ray_it_is_said(monkeypatch):
    pytest.importorskip("ray", reason="pip install -e .[ray]")
    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match="no Ray cluster at"):
            ray.make(ray_address=f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(UserError, match="HOST:PORT"):
        ray.make(ray_address="nowhere")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"\.\[ray\]"):
        ray.make()


def test_no_processes_cannot_be():
    with pytest.raises(UserError, match="at least 1"):
        local.make(jobs=0)
