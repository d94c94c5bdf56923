"""The architecture, written down and enforced: which package imports which, and how large a file may grow."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# {package: the packages that it imports}. A package imports only packages that stand above it here.
_MODELLING = "core devices models objectives data"
PACKAGES = {
    "core": "",
    "devices": "core",
    "models": "core",
    "objectives": "core",
    "data": "core devices",
    "training": _MODELLING,
    "evaluation": _MODELLING,
    "plots": f"{_MODELLING} evaluation",
    "experiments": f"{_MODELLING} training evaluation plots",
    "sweeps": f"{_MODELLING} training evaluation plots experiments",
    "commands": f"{_MODELLING} training evaluation plots experiments sweeps",
    "configs": "core data experiments",
}
# May import anything; `import ae_jax` does so only inside functions, so that it costs nothing.
LAZY = ("__init__", "__main__")
# What may be imported at the top of a module. All else waits for the function that needs it.
LIGHT = {"jax", "jaxtyping", "flax", "optax", "numpy", "ml_collections", "absl"} | set(sys.stdlib_module_names)
# {module: what it imports at the top nevertheless}. A class must be given its bases; nothing here imports the module.
HEAVY = {"estimator": {"sklearn"}}

FILES = [path for folder in ("ae_jax", "configs", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]


def package_of(parts: Sequence[str]) -> str:
    """Return the package of a path or of a dotted name, in parts: ("ae_jax", "models", "vae.py") is of models."""
    return Path((*parts, "__init__")[1]).stem if parts[0] == "ae_jax" else parts[0]


def imports(path: Path, at_the_top: bool = False) -> list[list[str]]:
    """Return the dotted names that a file imports, in parts: everywhere, or outside of functions only."""
    names, nodes = [], [ast.parse(path.read_text())]
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif not (at_the_top and (isinstance(node, ast.FunctionDef) or _is_for_the_type_checker(node))):
            nodes += ast.iter_child_nodes(node)
    return [name.split(".") for name in names]


def _is_for_the_type_checker(node: ast.AST) -> bool:
    """Return whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_table(path):
    here = package_of(path.relative_to(ROOT).parts)
    names = [name for name in imports(path) if name[0] in ("ae_jax", "configs", "scripts", "tests")]
    if here in LAZY:
        assert here == "__main__" or not [name for name in imports(path, at_the_top=True) if name[0] == "ae_jax"]
    elif here != "scripts":
        assert here in PACKAGES, f"a new package: give {here!r} a row in the table"
        assert {package_of(name) for name in names} <= {here, *PACKAGES[here].split()}
    if path.is_relative_to(ROOT / "ae_jax" / "commands" / "apply"):
        assert "training" not in {package_of(name) for name in names}, "a task trains nothing"
    heavy = {name[0] for name in imports(path, at_the_top=True)} - LIGHT - {"ae_jax", "configs"}
    heavy -= HEAVY.get(path.stem, set())
    assert not heavy, "import it in the function that needs it"


def test_the_table_goes_from_the_bottom_to_the_top_and_names_the_packages_that_stand():
    above = list(PACKAGES)
    for package, imported in PACKAGES.items():
        assert set(imported.split()) <= set(above[: above.index(package)])
    folders = {path.parent.name for path in (ROOT / "ae_jax").glob("*/__init__.py")}
    assert folders | {"configs"} == set(PACKAGES)


def test_a_newcomer_finds_few_packages_and_short_files():
    folder = ROOT / "ae_jax"
    entries = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert len(entries - set(LAZY)) <= 12
    lines = {path.relative_to(folder): len(path.read_text().splitlines()) for path in folder.rglob("*.py")}
    assert {path: count for path, count in lines.items() if count > 300} == {}
    for package in entries - set(LAZY):
        of_package = sum(count for path, count in lines.items() if path.parts[0] == package)
        assert of_package <= sum(lines.values()) / 4, f"{package} holds more than a quarter of the lines"


@pytest.mark.parametrize("package", ["core", "objectives"])
def test_strictly_typed_packages_name_any_only_in_types(package):
    """`Array`, `Key` and `Tree` of ae_jax.core.types are the only names for what has no exact type."""
    files = {path for path in (ROOT / "ae_jax" / package).glob("*.py") if path.name != "types.py"}
    assert not [path for path in files if ["typing", "Any"] in imports(path)]


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, ae_jax; print({'jax', 'flax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
