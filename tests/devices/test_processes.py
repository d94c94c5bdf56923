"""Two real processes on the loopback address: one run, stopped, gone on with, and ended by a single process."""

import concurrent.futures
import http.server
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from jax._src.clusters import cloud_tpu_cluster
from PIL import Image
from sklearn.datasets import load_digits

from ae_jax.core.errors import UserError
from ae_jax.devices import meeting as meeting_place
from ae_jax.devices import processes
from ae_jax.experiments import configuration, rundir


def free_port():
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def meeting(monkeypatch, *guests, patience=30.0):
    """What becomes of processes that meet, each (number of processes, its own number): None or the error."""
    monkeypatch.setattr(meeting_place, "PATIENCE", patience)
    address = f"127.0.0.1:{free_port()}"

    def come(guest):
        try:
            return meeting_place.meet(address, *guest)
        except UserError as error:
            return str(error).replace(address, "HOST:PORT").splitlines()[0]

    with concurrent.futures.ThreadPoolExecutor(len(guests)) as pool:
        return list(pool.map(come, guests))


def test_processes_that_agree_meet(monkeypatch):
    assert meeting(monkeypatch, (3, 2), (3, 0), (3, 1)) == [None] * 3


def test_numbers_that_do_not_match_are_told_to_all(monkeypatch):
    said = "process 1 was started with --num_processes=3, process 0 with 2"
    assert meeting(monkeypatch, (2, 0), (3, 1)) == [said] * 2
    said = "two processes were started with --process_id=1"
    assert said in meeting(monkeypatch, (3, 0), (3, 1), (3, 1), patience=2.0)


def test_nobody_waits_for_ever(monkeypatch):
    said = "process 1 of 2: no answer from the coordinator at HOST:PORT in 0 s"
    assert meeting(monkeypatch, (2, 1), patience=0.3) == [said]
    said = "process 0 of 3 at HOST:PORT: process 2 did not connect in 1 s"
    assert meeting(monkeypatch, (3, 0), (3, 1), patience=1.0) == [said] * 2
    assert meeting_place.PATIENCE <= 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("127.0.0.1:1", 2, None), "--process_id is missing"),
        (("", 2, 0), "--coordinator is missing"),
        (("nowhere", 2, 0), "--coordinator=nowhere is not an address"),
        (("127.0.0.1:70000", 2, 0), "--coordinator=127.0.0.1:70000 is not an address"),
        (("127.0.0.1:1", 2, 2), "--process_id=2 must be less than --num_processes=2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, said):
    with pytest.raises(UserError, match=said):
        processes.join(*arguments)


def test_slurm_and_a_tpu_pod_say_who_is_who(monkeypatch):
    for name in ("SLURM_NTASKS", "TPU_WORKER_HOSTNAMES", "TPU_SKIP_MDS_QUERY"):  # JAX sets the last where no TPU is
        monkeypatch.delenv(name, raising=False)
    assert meeting_place.scheduled() is None
    slurm = {"JOB_ID": "4096", "STEP_NODELIST": "node[07-09]", "NTASKS": "3", "PROCID": "2", "LOCALID": "0"}
    with monkeypatch.context() as patch:
        for name, value in slurm.items():
            patch.setenv(f"SLURM_{name}", value)
        assert meeting_place.scheduled() == ("node07:61440", 3, 2)
    metadata = {"worker-network-endpoints": "a:b:127.0.0.1,a:b:10.0.0.2", "agent-worker-number": "1", "tpu-env": ""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(metadata[self.path.rpartition("/")[2]].encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{server.server_port}")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # as where libtpu is installed
        monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
        assert meeting_place.scheduled() == ("127.0.0.1:8482", 2, 1)
        server.shutdown()


class Runs:
    """Commands that train the same config below a folder on the images in it, sharing what they compile."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "images").mkdir()
        for number, image in enumerate(load_digits().images[:90]):
            Image.fromarray((15 * image).astype(np.uint8)).save(folder / "images" / f"{number:02}.png")

    def start(self, name, steps, *flags, devices=1, cache="cache", place=None):
        sizes = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
        folders = {"JAX_COMPILATION_CACHE_DIR": "compiled", "XDG_CACHE_HOME": cache}
        environment = {**os.environ, "XLA_FLAGS": sizes, **{key: str(self.folder / f) for key, f in folders.items()}}
        environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiles in less time
        root, place = configuration.ROOT, place or self.folder
        command = [sys.executable, str(root / "scripts" / "train.py"), f"--config={root / 'configs' / 'vae.py'}:smoke"]
        data = {"source": "files", "path": self.folder / "images", "split": "0.2", "validation": 12}
        command += [f"--config.data.{key}={value}" for key, value in data.items()]
        command += ["--config.model.hidden=(80,)"]  # large enough to be cut over devices
        # Evaluated as often as logged: wherever a run is stopped, one that was not has the same lines.
        periods = {"log_every": 5, "eval_every": 5, "checkpoint_every": 1000, "steps": steps}
        command += [f"--config.train.{key}={value}" for key, value in periods.items()]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, f"--workdir={name}", *flags], env=environment, cwd=place, **pipes)

    def start_two(self, name, steps, *flags, caches=("cache", "cache"), places=(None, None), of_one=()):
        """Of the second the flags `of_one` are too."""
        flags = [f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2", *flags]
        own = [["--process_id=0"], ["--process_id=1", *of_one]]
        return [self.start(name, steps, *flags, *own[i], cache=caches[i], place=places[i]) for i in range(2)]

    def logged(self, name):
        return rundir.read_lines(self.folder / name / "metrics.jsonl")


def ends(*started):
    """[(exit status, standard output, standard error)]."""
    said = [process.communicate(timeout=300) for process in started]
    return [(process.returncode, *words) for process, words in zip(started, said)]


def readers(ended):
    """How many of the processes read the images."""
    return sum(said.count("reading examples into") for *_, said in ended)


def test_two_processes_are_one_run_stopped_and_gone_on_with_by_two_and_by_one(tmp_path):
    runs = Runs(tmp_path)
    # As on two hosts, each has a cache of its own.
    both, deadline = runs.start_two("two", 100_000, caches=("cache", "another")), time.monotonic() + 300
    while not runs.logged("two"):
        assert all(process.poll() is None for process in both) and time.monotonic() < deadline, ends(*both)
        time.sleep(0.02)
    both[1].send_signal(signal.SIGTERM)
    stopped, step = ends(*both), runs.logged("two")[-1]["step"]
    assert [status for status, *_ in stopped] == [1, 1], stopped
    assert f"stopped at step {step} of 100000" in stopped[0][2] and "stopped at" not in stopped[1][2]
    assert "Traceback" not in stopped[0][2] + stopped[1][2]
    assert readers(stopped) == 2

    shutil.rmtree(tmp_path / "cache")
    both = ends(*runs.start_two("two", step + 10, "--config.data.stream=true", "--config.mesh.fsdp=2"))
    assert [status for status, *_ in both] == [0, 0] and readers(both) == 1, both
    ((status, said, warned),) = ends(runs.start("two", step + 20, devices=2))
    assert status == 0 and f"going on from step {step + 10} of {step + 20}" in said, warned

    ((status, _, warned),) = ends(runs.start("one", step + 20, devices=2))
    assert status == 0 and not readers([(status, _, warned)]), warned
    one, two = (runs.logged(name) for name in ("one", "two"))
    alike = lambda line: {key: value if isinstance(value, str) else pytest.approx(value) for key, value in line.items()}
    # Up to the stop parameters lay whole; the sums of those that are cut are rounded otherwise.
    before = sum(line["step"] <= step for line in one)
    assert one[:before] == two[:before] and [alike(line) for line in one] == two
    assert one[-1].keys() >= {"elbo", "active_units"}


def test_processes_that_are_told_to_do_different_things_do_nothing(tmp_path):
    runs = Runs(tmp_path)
    both = ends(*runs.start_two("run", 10, of_one=["--config.seed=5"]))
    said = "process 1 was started with --config.seed=5, process 0 without --config.seed\nuse the same command"
    assert all(status == 2 and told.startswith(said) for status, _, told in both), both
    places = tmp_path / "here", tmp_path / "there"  # as of two hosts that share no disk
    for place in places:
        place.mkdir()
    both = ends(*runs.start_two("run", 10, places=places))
    said = "workdir 'run' is not the folder that process 0 has there\nexpected one that all hosts share\n"
    assert [(status, told.endswith(said)) for status, _, told in both] == [(2, True)] * 2, both
    assert not (tmp_path / "run").exists() and not any(os.listdir(place) for place in places)


def test_what_fails_in_one_process_is_told_in_all_and_nothing_is_written(tmp_path):
    runs = Runs(tmp_path)
    both = ends(*runs.start_two("run", 10, of_one=["--config.data.path=nowhere"]))
    (first, _, told), (second, _, own) = both
    assert (first, second) == (2, 2) and told == f"process 1: {own}"
    assert own.startswith("data.path") and "'nowhere' does not exist" in own
    assert os.listdir(tmp_path) == ["images"]
