"""Time train.py until its first line, with an empty and with a filled compilation cache.

python benchmarks/start.py [--runs=5]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import pairs


def first_line(cache: str) -> float:
    """Return the seconds until a new process prints its first line; the process is then killed.

    Args:
      cache: the folder of JAX's compilation cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "scripts/train.py", "--config=configs/vae.py:digits", f"--workdir={folder}/run"]
        start = time.perf_counter()
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.kill()
        process.wait()
        assert line.startswith("step "), line
        return seconds


def main():
    """Measure both, and report their medians."""
    cold, warm = [], []
    for _ in range(pairs.arguments(__doc__).runs):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(first_line(cache))
            warm.append(first_line(cache))
    seconds = {"cold": round(statistics.median(cold), 2), "warm": round(statistics.median(warm), 2)}
    pairs.report("start", median_seconds=seconds, runs=len(cold))


if __name__ == "__main__":
    main()
