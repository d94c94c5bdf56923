"""The architecture, written down and enforced: which room imports which."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# {room: the rooms it imports}. A room is a file or a folder of ae_jax, or one of the folders beside it. It imports only
# what stands above it here; `errors` is a word that everybody may use.
ROOMS = {
    # layer 0: words
    "errors": "",
    "types": "",
    "lookup": "",
    # layer 1: mathematics
    "distributions": "",
    "flows": "distributions",
    "discretized": "distributions",
    "schedules": "",
    "mesh": "",
    "precision": "",
    "meeting": "",
    "processes": "meeting",
    "reduce": "",
    "gather": "types mesh",
    "kl": "types distributions",
    "programs": "",
    "projections": "",
    "music": "",
    "corruptions": "types lookup music",
    "importance": "types",
    "objectives": "types distributions reduce importance kl",
    "nets": "",
    # layer 2: what one adds
    "likelihoods": "types distributions discretized reduce gather",
    "priors": "distributions flows",
    "posteriors": "distributions nets flows",
    "models": "types distributions nets likelihoods priors posteriors",
    "cached": "types processes",
    "data": "types music cached",
    # layer 3: machinery; models and data come in as arguments
    "devices": "",
    "batching": "types mesh",
    "streaming": "types mesh batching",
    "optim": "",
    "players": "",
    "accumulation": "",
    "step": "types mesh precision reduce schedules players accumulation",
    "loop": "types mesh batching step",
    "samplers": "types distributions nets priors likelihoods models objectives kl optim batching loop step",
    "comparable": "types",
    "features": "lookup batching discretized reduce gather samplers comparable",
    "evaluation": "types mesh distributions discretized reduce gather importance objectives kl projections music "
    "features",
    "figures": "types music",
    "pages": "",
    "plots": "types distributions objectives kl reduce gather comparable evaluation figures lookup priors programs "
    "projections "
    "pages",
    "results": "types data figures music",
    "userfiles": "types data music results",
    "usercodes": "results userfiles",
    "tasks": "types lookup distributions samplers music results userfiles usercodes",
    "configuration": "schedules data",
    "ranges": "configuration",
    "rundir": "types processes configuration",
    "sweep_plots": "figures plots",
    "axes": "",
    "sweepdir": "axes configuration rundir",
    "policy": "",
    "checkpoints": "mesh processes loop step policy",
    "hooks": "processes rundir",
    # layer 4: assembly
    "splits": "types lookup corruptions data",
    "parts": "types lookup",
    "experiment": "types lookup mesh precision schedules corruptions objectives kl splits parts batching streaming "
    "optim "
    "loop step configuration ranges",
    "analysis": "types data lookup mesh reduce gather rundir checkpoints splits experiment figures",
    "runner": "mesh precision processes reduce gather loop step rundir checkpoints hooks experiment analysis",
    "sweep": "axes schedules configuration ranges splits experiment",
    "fleet": "devices loop step",
    "machine": "mesh loop step runner sweep fleet",
    "members": "types rundir hooks",
    "lockstep": "loop step policy checkpoints configuration rundir sweepdir hooks experiment analysis runner fleet "
    "machine "
    "members",
    "engines": "configuration hooks lockstep",
    "launch": "axes configuration sweepdir hooks analysis sweep machine lockstep engines",
    "search": "axes sweepdir analysis launch",
    "survey": "lookup axes rundir sweepdir figures analysis runner",
    "reproduce": "devices lookup configuration rundir runner analysis",
    "tables": "configuration reproduce",
    "charts": "",
    "report": "data configuration rundir sweepdir pages reproduce sweep_plots charts",
    "cli": "lookup devices processes configuration",
    "__init__": "analysis",
    "configs": "configuration data",
    "scripts": "lookup processes tasks axes configuration sweepdir hooks cli analysis runner reproduce tables launch "
    "search survey report devices",
}
# What may be imported at the top of a module. All else waits for the function that needs it.
LIGHT = {"jax", "flax", "optax", "numpy", "ml_collections", "absl"} | set(sys.stdlib_module_names)

FILES = [path for folder in ("ae_jax", "configs", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]


def room(parts: Sequence[str]) -> str:
    """The room of a path or of a dotted name, in parts: ("ae_jax", "nets", "mlp.py") stands in nets."""
    return Path((*parts, "__init__")[1]).stem if parts[0] == "ae_jax" else parts[0]


def imports(path: Path, at_the_top: bool = False) -> list[list[str]]:
    """The dotted names that a file imports, in parts: everywhere, or outside of functions only."""
    names, nodes = [], [ast.parse(path.read_text())]
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif not (at_the_top and isinstance(node, ast.FunctionDef)):
            nodes += ast.iter_child_nodes(node)
    return [name.split(".") for name in names]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_table(path):
    here, names = room(path.relative_to(ROOT).parts), imports(path)
    assert here in ROOMS, f"a new room: give {here!r} a row in the table"
    ours = {room(name) for name in names if name[0] in ("ae_jax", "configs", "scripts", "tests")}
    assert ours <= {here, "errors", *ROOMS[here].split()}
    heavy = {name[0] for name in imports(path, at_the_top=True)} - LIGHT - {"ae_jax", "configs"}
    assert not heavy, "import it in the function that needs it"


def test_the_table_goes_from_the_bottom_to_the_top_and_names_rooms_that_stand():
    above = list(ROOMS)
    assert [
        (here, other) for here in ROOMS for other in ROOMS[here].split() if other not in above[: above.index(here)]
    ] == []
    assert set(ROOMS) == {room(path.relative_to(ROOT).parts) for path in FILES}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, ae_jax; print({'jax', 'flax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
