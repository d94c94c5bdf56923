"""Exported parts, used in a fresh process without this package, against the functions of `using`."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ae_jax.commands import export
from ae_jax.experiments import analysis, configuration, runner, using

USE = """
import sys
import jax, jax.export
import numpy as np
folder, part, label = sys.argv[1:]
program = jax.export.deserialize(bytearray(open(f"{folder}/{part}.stablehlo", "rb").read()))
given = np.load(f"{folder}/given.npz")
inputs = [given["x" if part == "encoder" else "z"], *([given["label"]] if label else [])]
for count in (1, 5):
    outputs = program.call(*(each[:count] for each in inputs))
np.savez(f"{folder}/{part}_out.npz", **outputs)
assert "ae_jax" not in sys.modules
"""


@pytest.fixture(scope="module", params=["conv_vae", "cvae"])
def trained(request, tmp_path_factory):
    config = configuration.load(f"configs/{request.param}.py:smoke")
    config.train.update(steps=1, eval_every=0)
    workdir = str(tmp_path_factory.mktemp(request.param) / "run")
    runner.train_run(config, workdir, say=lambda *_, **__: None)
    return analysis.load(workdir)


def test_programs_run_without_this_package(trained, tmp_path):
    x = (trained.splits["test"]["x"][:5] / np.float32(trained.spec.levels - 1)).astype(np.float32)
    label = trained.splits["test"]["label"][:5].astype(np.int32)
    given = {"label": label} if trained.model.reads_label else {}
    z, scale = using.encode_with_scale(trained, x, **given)
    np.savez(tmp_path / "given.npz", x=x, z=z, label=label)
    paths = export.write(trained, str(tmp_path), "both", "stablehlo", 4)
    assert [path.name for path in paths] == ["encoder.stablehlo", "decoder.stablehlo", "manifest.json"]
    for part in ("encoder", "decoder"):
        words = [sys.executable, "-c", USE, str(tmp_path), part, "label" * bool(given)]
        subprocess.run(words, check=True, cwd=tmp_path)
    encoded, decoded = (np.load(tmp_path / f"{part}_out.npz") for part in ("encoder", "decoder"))
    np.testing.assert_allclose(encoded["z"], z, atol=1e-5)
    np.testing.assert_allclose(encoded["z_scale"], scale, atol=1e-5)
    np.testing.assert_allclose(decoded["x"], using.decode(trained, z, **given), atol=1e-5)
    manifest = json.loads(paths[-1].read_text())
    inputs = manifest["files"]["encoder.stablehlo"]["inputs"]
    assert inputs[0] == {"name": "x", "shape": list(x.shape[1:]), "dtype": "float32"}
    assert [each["name"] for each in inputs[1:]] == list(given)
    assert manifest["classes"] == [str(number) for number in range(10)] and "16" in manifest["values"]


def test_arrays_hold_what_a_part_reads(trained, tmp_path):
    paths = export.write(trained, str(tmp_path), "decoder", "npz", 4)
    arrays = np.load(paths[0])
    assert arrays and all(name.startswith(("params/decoder", "params/p_x")) for name in arrays)
    first = next(iter(arrays))
    value = trained.variables
    for word in first.split("/"):
        value = value[word]
    np.testing.assert_array_equal(arrays[first], value)
