"""Record what this checkout computes, so that two checkouts can be compared byte for byte.

python benchmarks/behaviour.py --output=before.json
python benchmarks/behaviour.py --output=after.json [--only=smoke,families,parts,sweep,figures,metrics]
python benchmarks/behaviour.py --compare before.json after.json      (exit status 1 if any entry differs)

A record takes about ten minutes on two CPU cores. Two records can be equal only if both were made on the same machine
with the same package versions. The code is driven through scripts/*.py and `ae_jax.load` alone, so the script survives
a change of the import paths. A record holds:

smoke       parameters and metrics.jsonl of every config, two steps of a tiny model (`:smoke`)
families    the same of 200 steps of each model family, on the digits; the music family trains on scales
parts       the same of ten steps with other priors, posteriors, likelihoods, objectives, corruptions and optimisers
sweep       results.csv without its seconds, and the runs and figures, of four runs trained together in each way
figures     the arrays and the picture of every figure that a run of `families` can draw
metrics     every score that a run of `families` can compute, with few samples

Arrays are recorded as SHA-256 digests, each with a few values that show the size of a difference. A command that
refuses is recorded by the first line of its message. With `figures` or `metrics`, `families` are recorded too.
"""

import argparse
import concurrent.futures
import contextlib
import csv
import functools
import hashlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import pathlib
import platform
import runpy
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import behaviour_cases as cases
import behaviour_compare

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECTIONS = ("smoke", "families", "parts", "sweep", "figures", "metrics")

# Every command has a process of its own, forked from a server that has imported these and started no device.
_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ["jax", "flax.linen", "optax", "orbax.checkpoint", "ml_collections", "matplotlib.figure", "scipy.linalg"]
_PRELOADED += ["sklearn.linear_model", "sklearn.datasets", "tensorboardX"]
# These change what is computed, or where from.
_REMOVED = ("AE_JAX_", "JAX_", "XLA_", "OMP_", "OPENBLAS_", "MKL_")


def command(script: str, workdir: str, options: list[str], read: Callable[[str], Any]) -> Any:
    """Run a script in a new process, and return what `read` makes of its standard output there.

    Returns:
        The value of `read`; or {"refused": first line} for exit status 2; or {"failed": what happened}.
    """
    options = [f"--workdir={workdir}", *options]
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(sender, script, options, read))
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
        process.join()
    except EOFError:  # the process ended without an answer
        process.join()
        answer = {"failed": f"exit status {process.exitcode} of the process"}
    if "failed" in answer:
        print(f"failed: {script} {' '.join(options)}: {answer['failed']}", file=sys.stderr, flush=True)
    return answer


def _run(sender: Any, script: str, options: list[str], read: Callable[[str], Any]) -> None:
    """Run a script in this process as if it had been typed, and send the answer of `command`."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))  # before the checkout that is installed
    sys.argv = [str(ROOT / "scripts" / script), *options]
    printed, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            status = _status(sys.argv[0])
            answer = read(printed.getvalue()) if status == 0 else None
    except Exception as error:
        traceback.print_exc()
        answer = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
    if answer is None:
        first_line = said.getvalue().strip().partition("\n")[0]
        answer = {"refused" if status == 2 else "failed": first_line}
    sender.send(answer)


def _status(path: str) -> object:
    """Run a script in this process and return its exit status."""
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    return 0


def read_run(workdir: str, printed: str = "") -> dict[str, Any]:
    """Return the digest and samples of a run's variables, and the lines of its metrics.jsonl."""
    import jax

    import ae_jax

    assert ROOT in pathlib.Path(ae_jax.__file__).parents, f"{ae_jax.__file__} is not of this checkout"
    _, variables, _ = ae_jax.load(workdir)
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    arrays = {jax.tree_util.keystr(path): jax.device_get(leaf) for path, leaf in leaves}
    digest = hashlib.sha256()
    for path in sorted(arrays):
        digest.update(path.encode() + arrays[path].tobytes())
    samples = {path: sample(array) for path, array in arrays.items()}
    lines = (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines()
    parameters = {"sha256": digest.hexdigest(), "sample": samples}
    return {"parameters": parameters, "metrics": [json.loads(line) for line in lines]}


def read_sweep(workdir: str, printed: str) -> dict[str, Any]:
    """Return {run: its row of results.csv without the seconds, and what `read_run` returns}."""
    found = {}
    with open(f"{workdir}/results.csv", newline="") as file:
        for row in csv.DictReader(file):
            del row["seconds"]
            values = {key: _number_or_text(text) for key, text in row.items()}
            found[row["run"]] = {"row": values, **read_run(f"{workdir}/{row['run']}")}
    return found


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def read_figure(workdir: str, name: str, printed: str) -> dict[str, Any]:
    """Return {array: digest, shape and samples}, and the digest of the figure's picture."""
    import numpy as np

    with np.load(f"{workdir}/figures/{name}.npz") as stored:
        arrays = dict(stored)
    found = {}
    for key, array in arrays.items():
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        found[key] = {"sha256": digest, "array": f"{array.dtype} {array.shape}", "sample": sample(array)}
    (picture,) = (path for path in pathlib.Path(workdir, "figures").glob(f"{name}.*") if path.suffix != ".npz")
    return {"arrays": found, "picture": {"sha256": hashlib.sha256(picture.read_bytes()).hexdigest()}}


def read_scores(printed: str) -> dict[str, Any]:
    """Return the JSON object that evaluate.py printed last."""
    return json.loads(printed.splitlines()[-1])


def sample(array: Any, count: int = 8) -> list[float]:
    """Return `count` values, evenly spaced in an array; of one that holds text, none."""
    if array.dtype.kind in "USO" or not array.size:
        return []
    flat = array.ravel()
    places = sorted({round(place * (flat.size - 1) / (count - 1)) for place in range(count)})
    return [float(flat[place]) for place in places]


def smoke_configs() -> dict[str, str]:
    """Return {config: its file with `:smoke`} for every file of configs/ with get_config."""
    paths = sorted((ROOT / "configs").glob("[a-z]*.py"))
    return {path.stem: f"{path.name}:smoke" for path in paths if "def get_config" in path.read_text()}


def train(folder: str, name: str, settings: str) -> dict[str, Any]:
    """Train a run of `settings`, a config file and overrides KEY=VALUE; see `read_run`."""
    workdir = f"{folder}/{name}"
    config, *overrides = settings.split()
    options = [f"--config=configs/{config}", *(f"--config.{override}" for override in overrides)]
    return command("train.py", workdir, options, functools.partial(read_run, workdir))


def figure(folder: str, run: str, name: str, options: str = "") -> dict[str, Any]:
    """Draw a figure of a run or of a sweep and return what `read_figure` returns."""
    workdir = f"{folder}/{run}"
    chosen = [f"--figures={name}", "--limit=200", *options.replace("RUNS", folder).split()]
    return command("plot.py", workdir, chosen, functools.partial(read_figure, workdir, name))


def score(folder: str, run: str, name: str, options: str) -> dict[str, Any]:
    """Compute a metric of a run and return what evaluate.py printed."""
    chosen = [f"--metrics={name}", "--limit=100", *options.replace("RUNS", folder).split()]
    return command("evaluate.py", f"{folder}/{run}", chosen, read_scores)


def sweep(folder: str, way: str) -> dict[str, Any]:
    """Train a small sweep in one way of training runs together, and draw the first way's figures."""
    workdir = f"{folder}/{way}"
    options = [f"--way={way}", *cases.SWEEP.split()]
    found = {"runs": command("sweep.py", workdir, options, functools.partial(read_sweep, workdir))}
    if way == cases.WAYS[0]:
        found["figures"] = {name: figure(folder, way, name) for name in cases.SWEEP_FIGURES}
    return found


def figures(folder: str, family: str) -> dict[str, Any]:
    """Return {figure: entry} of a family's run, one after the other."""
    return {name: figure(folder, family, name, options) for name, options in cases.FIGURES.items()}


def metrics(folder: str, family: str) -> dict[str, Any]:
    """Return {metric: entry} of a family's run, one after the other."""
    return {name: score(folder, family, name, options) for name, options in cases.METRICS.items()}


def in_parallel(make: Callable[..., Any], folder: str, names: Iterable[str], *more: Iterable[str]) -> dict[str, Any]:
    """Return {name: make(folder, name, ...)}, a few at a time; `more` has further arguments."""
    names, start = list(names), time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        entries = dict(zip(names, pool.map(functools.partial(make, folder), names, *more), strict=True))
    print(f"{make.__name__} {folder}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return entries


def record(folder: str, sections: Sequence[str]) -> dict[str, Any]:
    """Return the record of the chosen sections, whose runs are made in `folder`."""
    found = {"machine": machine()}
    families = f"{folder}/families"
    if "smoke" in sections:
        configs = smoke_configs()
        found["smoke"] = in_parallel(train, f"{folder}/smoke", configs, configs.values())
    if "parts" in sections:
        settings = [f"{part} {cases.PART_LENGTH}" for part in cases.PARTS.values()]
        found["parts"] = in_parallel(train, f"{folder}/parts", cases.PARTS, settings)
    if "sweep" in sections:
        found["sweep"] = in_parallel(sweep, f"{folder}/sweep", cases.WAYS)
    if {"families", "figures", "metrics"} & set(sections):
        settings = [f"{family} {cases.FAMILY_LENGTH}" for family in cases.FAMILIES.values()]
        found["families"] = in_parallel(train, families, cases.FAMILIES, settings)
    if "figures" in sections:
        found["figures"] = in_parallel(figures, families, cases.FAMILIES)
    if "metrics" in sections:
        found["metrics"] = in_parallel(metrics, families, cases.FAMILIES)
    return found


def machine() -> dict[str, Any]:
    """Return the versions and the number of cores on which the numbers of a record depend."""
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy", "scipy")}
    return {"python": platform.python_version(), "cores": os.cpu_count(), **versions}


def prepare() -> None:
    """Set the environment and the server from which every command is forked."""
    for name in [name for name in os.environ if name.startswith(_REMOVED)]:
        del os.environ[name]
    os.environ["JAX_PLATFORMS"] = "cpu"
    _CONTEXT.set_forkserver_preload(_PRELOADED)


def main() -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", help="the JSON file to write")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, joined by commas (default: all)")
    parser.add_argument("--compare", nargs=2, metavar="RECORD", help="compare two records and write none")
    options = parser.parse_args()
    if options.compare:
        return int(behaviour_compare.compare(*options.compare) > 0)
    sections = options.only.split(",")
    if not options.output or not set(sections) <= set(SECTIONS):
        parser.error(f"use --output=FILE.json, and in --only some of: {','.join(SECTIONS)}")
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/compiled"
        text = json.dumps(record(folder, sections), indent=1, sort_keys=True)
    # Messages name files of the run and of the checkout, which lie elsewhere next time.
    text = text.replace(folder, "RUNS").replace(str(ROOT), "ROOT")
    pathlib.Path(options.output).write_text(text + "\n")
    return int('"failed":' in text)


if __name__ == "__main__":
    sys.exit(main())
