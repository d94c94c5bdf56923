"""The documentation is complete, follows from the code, and Sphinx builds it without a warning."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def is_public(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")


@pytest.mark.parametrize("package", sorted(path.parent.name for path in (ROOT / "ae_jax").glob("*/__init__.py")))
def test_each_public_name_is_documented(package):
    for path in (ROOT / "ae_jax" / package).rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in filter(is_public, tree.body):
            assert ast.get_docstring(node), f"{path}: {node.name}"
            for method in filter(is_public, getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []):
                assert ast.get_docstring(method), f"{path}: {node.name}.{method.name}"


@pytest.mark.long
def test_pages_that_follow_from_the_code_are_up_to_date():
    spec = importlib.util.spec_from_file_location("render", ROOT / "docs" / "render.py")
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)
    for name, page in render.PAGES.items():
        assert (ROOT / "docs" / name).read_text() == page(), f"{name}: render it by python docs/render.py"


@pytest.mark.long
def test_sphinx_builds_the_documentation_without_a_warning_and_without_a_network(tmp_path):
    pytest.importorskip("sphinx")
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **nowhere, "JAX_PLATFORMS": "cpu"}
    )
    assert done.returncode == 0, done.stderr
    assert "optimizer.learning_rate" in (tmp_path / "html" / "reference" / "keys.html").read_text()
    assert (tmp_path / "html" / "reference" / "api" / "ae_jax.models.html").is_file()
