"""Tests run on the CPU, from any directory; a warning or a silent broadcast over ranks is an error."""

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most programs here are run a few times only: optimising them, or cutting them up for several compilers, costs more
# than it saves. Those of scripts too: what they compute is compared with what is computed here.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_parallel_codegen_split_count=1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import hypothesis
import jax
import jaxtyping
import pytest

# Checks the shapes and types that the functions of these packages declare, at every call.
jaxtyping.install_import_hook(["ae_jax.core", "ae_jax.objectives"], "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# Derandomised, so that a failure is found again; no time limit, as the first example compiles.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None, max_examples=25)
hypothesis.settings.load_profile("tests")


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "error")
    # Deprecations are an error in this code, not in what it uses.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    config.addinivalue_line("filterwarnings", "error::DeprecationWarning:ae_jax")


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="module")
def browser():
    """Chromium, to look at pages with; the tests that want it are skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    playwright = pytest.importorskip("playwright.sync_api", reason="the pages are tested with playwright")
    if not program:
        pytest.skip("no chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
