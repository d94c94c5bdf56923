"""The installed package, as a user without the checkout has it."""

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_list_of_packages_names_every_folder_of_modules():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    listed = set(metadata["options"]["packages"].split())
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "ae_jax").rglob("__init__.py")}
    assert listed == folders | {"ae_jax.configs"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the installed wheel, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    # A copy, as building leaves files beside the sources.
    source = folder / "source"
    source.mkdir()
    for name in ("ae_jax", "configs", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    assert any(name.endswith("explorer.html") for name in zipfile.ZipFile(wheel).namelist())
    return folder / "site"


def test_a_wheel_trains_plots_and_reports_from_any_directory(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu"}

    def call(*words):
        command = [sys.executable, "-m", "ae_jax", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "mine.py").write_text(
        "from configs import vae\n\n\ndef get_config(arg=''):\n    return vae.get_config(arg)\n"
    )
    call("train", "--config=mine.py:smoke", "--workdir=run")
    call("train", "--config=vae:smoke", "--workdir=other")
    assert "figures/reconstructions.png" in call("plot", "--workdir=run", "--figures=reconstructions")
    assert "report.html" in call("report", "--workdir=run")
    assert "vae" in call("reproduce")
    code = "import ae_jax; print(ae_jax.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(installed)
