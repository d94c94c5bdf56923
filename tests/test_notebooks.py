"""Every notebook runs from its first cell to its last, and its stored outputs are of one such run."""

import json
import os
import warnings

import pytest

from ae_jax.experiments import rundir
from ae_jax.experiments.configuration import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COLAB = ROOT / "notebooks" / "colab_tpu.ipynb"
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
    code = cells(json.loads(COLAB.read_text()))
    printed = ["".join("".join(output.get("text", "")) for output in cell["outputs"]) for cell in code]
    assert any("JAX uses 8 cpu devices" in text for text in printed)
    row = printed[-1].splitlines()[-1]
    assert row.startswith("vae_mlp") and "meets it" in row


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    """Runs a notebook that was read, with eight devices and in tiny sizes."""
    nbclient = pytest.importorskip("nbclient")
    words = {"AE_JAX_SMOKE": "1", "AE_JAX_RUNS": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    words["PYTHONPATH"] = f"{ROOT}{os.pathsep}{tmp_path}"
    words["XLA_FLAGS"] = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    for name, value in words.items():
        monkeypatch.setenv(name, value)

    def run(notebook):
        options = {"kernel_name": "python3", "resources": {"metadata": {"path": str(ROOT / "notebooks")}}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Jupyter's own parts
            nbclient.NotebookClient(notebook, timeout=600, **options).execute()

    return run


def shown(notebook):
    """The kinds of what each cell displays."""
    return [{kind for output in cell["outputs"] for kind in output.get("data", ())} for cell in cells(notebook)]


@pytest.mark.long
@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path != COLAB], ids=lambda path: path.stem)
def test_every_cell_runs(jupyter, path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    jupyter(notebook)
    assert shown(notebook) == shown(nbformat.read(path, as_version=4))


# What Colab has and no other place: here the folder that is mounted is an empty one.
DRIVE = """
import pathlib

def mount(path):
    pathlib.Path(path, "MyDrive").mkdir(parents=True, exist_ok=True)
"""
# The machine is taken away as soon as the first checkpoint is written.
DISCONNECT = """
import os, signal
from ae_jax.training.checkpoints import Checkpoints

save = Checkpoints.save
def save_and_end(self, *arguments):
    save(self, *arguments)
    self.wait()
    os.kill(os.getpid(), signal.SIGKILL)
Checkpoints.save = save_and_end
"""


@pytest.mark.long
def test_every_cell_runs_in_colab_and_goes_on_in_drive_after_a_disconnect(jupyter, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    (tmp_path / "google/colab").mkdir(parents=True)
    (tmp_path / "google/colab/drive.py").write_text(DRIVE)
    text = COLAB.read_text()
    for there, here in (("SAVE_TO_DRIVE = False", "SAVE_TO_DRIVE = True"), ("/content/drive", str(tmp_path / "drive"))):
        assert there in text
        text = text.replace(there, here)
    first, notebook = (nbformat.reads(text, as_version=4) for _ in range(2))
    training = next(i for i, cell in enumerate(first.cells) if "runner.train_run" in cell.source)
    first.cells.insert(training, nbformat.v4.new_code_cell(DISCONNECT))
    with pytest.raises(RuntimeError, match="Kernel died"):
        jupyter(first)
    drive = tmp_path / "drive/MyDrive/ae_jax"
    assert [line["step"] for line in rundir.read_lines(drive / "vae" / "metrics.jsonl")] == [1]
    jupyter(notebook)
    said = "".join(output.text for output in notebook.cells[training].outputs)
    assert "going on from step 1 of 2" in said and "step 1/2" not in said
    assert {path.name for path in drive.iterdir()} == {"vae", "seeds", "rows", "results.json"}
    assert shown(notebook) == shown(nbformat.read(COLAB, as_version=4))
