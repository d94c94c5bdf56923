"""Every notebook runs from its first cell to its last, and its stored outputs are of one such run."""

import json
import os
import warnings

import pytest

from ae_jax.configuration import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@by_name
def test_the_stored_outputs_are_of_one_run_without_errors(path):
    assert path.stat().st_size < 2_000_000
    code = cells(json.loads(path.read_text()))
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds and kinds <= {"stream", "display_data", "execute_result"}


def test_the_stored_outputs_are_of_eight_devices_and_reach_the_number_expected():
    code = cells(json.loads((ROOT / "notebooks" / "colab_tpu.ipynb").read_text()))
    printed = ["".join("".join(output.get("text", "")) for output in cell["outputs"]) for cell in code]
    assert any("JAX uses 8 cpu devices" in text for text in printed)
    row = printed[-1].splitlines()[-1]
    assert row.startswith("vae_mlp") and "meets it" in row


@by_name
def test_every_cell_runs(path, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    words = {"AE_JAX_SMOKE": "1", "AE_JAX_RUNS": str(tmp_path), "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    words["XLA_FLAGS"] = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    notebook, stored = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    options = {"kernel_name": "python3", "resources": {"metadata": {"path": str(path.parent)}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own parts
        nbclient.NotebookClient(notebook, timeout=600, **options).execute()
    shown = lambda cell: {kind for output in cell["outputs"] for kind in output.get("data", ())}
    assert [shown(cell) for cell in cells(notebook)] == [shown(cell) for cell in cells(stored)]
