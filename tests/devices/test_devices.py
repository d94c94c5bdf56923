"""What is said of a machine, and what to install where an accelerator lies idle."""

import os
import subprocess
import sys
import types

import pytest

from ae_jax.devices import report
from ae_jax.experiments.configuration import ROOT


def device(kind, memory=None):
    stats = {"bytes_limit": memory} if memory else None
    return types.SimpleNamespace(device_kind=kind, id=0, memory_stats=lambda: stats)


@pytest.mark.parametrize("platform, extra", [("gpu", "cuda"), ("tpu", "tpu")])
def test_an_idle_accelerator_is_named_with_the_extra_to_install(platform, extra, monkeypatch):
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    text = "\n".join(report.describe([device("cpu")], "cpu", [platform]))
    assert platform.upper() in text and f"[{extra}]" in text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    hidden = "unset CUDA_VISIBLE_DEVICES=-1" in "\n".join(report.describe([device("cpu")], "cpu", [platform]))
    assert hidden == (platform == "gpu")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert "unset JAX_PLATFORMS=cpu" in "\n".join(report.describe([device("cpu")], "cpu", [platform]))


def test_a_machine_that_is_used_well_is_told_so():
    lines = report.describe([device("NVIDIA H200", 139 * 2**30)], "gpu", ["gpu"])
    assert lines[0] == "JAX uses 1 gpu device: NVIDIA H200" and "139.0 GiB" in lines[1]
    assert lines[-1] == "nothing is left unused"


def test_a_device_that_is_asked_for_and_not_there_is_said_in_two_lines():
    command, environment = [sys.executable, "scripts/devices.py"], {**os.environ, "JAX_PLATFORMS": "rocm"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert "JAX_PLATFORMS=rocm" in done.stderr and len(done.stderr.splitlines()) == 2


def test_this_machine_has_a_device():
    assert any(line.startswith("JAX uses") for line in report.report())
