"""Measure the anonymous memory of training on a large memory-mapped file, and on the digits.

python benchmarks/mapped.py --folder=/tmp/mapped [--gigabytes=2] [--kind=vectors|images] [--steps=2000]

Each is a run of scripts/train.py in a process of its own. RssAnon of /proc/PID/status is sampled: pages that are mapped
from a file do not count, because the system takes them back when it needs memory. The file is made in the folder, with
random values, and deleted at the end.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

SHAPES = {"vectors": ((64,), np.float32), "images": ((28, 28), np.uint8)}
ROOT = pathlib.Path(__file__).parents[1]


def make(file: pathlib.Path, kind: str, size: int) -> None:
    """Write an .npy of `size` bytes: standard normal vectors, or images of uniform pixels."""
    shape, dtype = SHAPES[kind]
    count = size // (int(np.prod(shape)) * np.dtype(dtype).itemsize)
    array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=(count, *shape))
    draw = np.random.default_rng(0)
    for start in range(0, count, 2**14):
        piece = array[start : start + 2**14]
        piece[:] = draw.standard_normal(piece.shape) if kind == "vectors" else draw.integers(0, 256, piece.shape)
    array.flush()


def anonymous(process: int) -> int:
    """Return RssAnon of a process in bytes; 0 if it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def peak(workdir: pathlib.Path, steps: int, *flags: str) -> dict[str, float]:
    """Train in a new run directory; return the peak of its anonymous memory, and its seconds."""
    command = [sys.executable, str(ROOT / "scripts/train.py"), f"--config={ROOT / 'configs/vae.py'}:digits"]
    command += [f"--workdir={workdir}", f"--config.train.steps={steps}", *flags]
    # Compiling takes memory too. Without the cache, both runs compile everything.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    start, highest = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        while process.poll() is None:
            highest = max(highest, anonymous(process.pid))
            time.sleep(0.01)
    assert process.returncode == 0, command
    return {"bytes": highest, "seconds": time.perf_counter() - start}


def main() -> None:
    """Measure both runs, and print a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="an empty folder on a disk with room")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the file")
    parser.add_argument("--kind", choices=SHAPES, default="vectors", help="what the file holds")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of both runs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "large.npy"
    try:
        make(file, options.kind, int(options.gigabytes * 1e9))
        digits = peak(options.folder / "digits", options.steps)
        flags = ["--config.data.source=files", f"--config.data.path={file}", "--config.model.likelihood=gaussian"]
        flags += [f"--config.data.cache={options.folder / 'cache'}", "--config.data.validation=10000"]
        mapped = [peak(options.folder / f"mapped_{run}", options.steps, *flags) for run in ("first", "again")]
    finally:
        shutil.rmtree(options.folder)
    megabytes = {"digits": digits["bytes"] / 1e6, "mapped": max(run["bytes"] for run in mapped) / 1e6}
    megabytes["above"] = megabytes["mapped"] - megabytes["digits"]
    seconds = {"digits": digits["seconds"], "mapped": mapped[0]["seconds"], "mapped, surveyed": mapped[1]["seconds"]}
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    print(json.dumps({"megabytes": {name: round(value) for name, value in megabytes.items()}, "seconds": rounded}))


if __name__ == "__main__":
    main()
