"""Kill commands at random moments, run them again to their ends, and compare the bytes with an undisturbed run.

python benchmarks/chaos.py --minutes=30 --folder=/tmp/chaos [--seed=0] [--only=train,sweep_map]
"""

import argparse
import hashlib
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
_SMALL = (
    *("--config=configs/vae.py:digits,smoke", "--config.train.steps=60", "--config.train.log_every=10"),
    *("--config.train.eval_every=20", "--config.train.checkpoint_every=10"),
)
_AXES = ("--axis=weights.kl=1,2", "--axis=seed=0:2")
# {name: (words of the command, files that must be the same bytes)}. WORKDIR and RUN are replaced.
CASES = {
    "train": (("train", *_SMALL, "--workdir=WORKDIR"), ("metrics.jsonl",)),
    "sweep_map": (("sweep", *_SMALL, *_AXES, "--way=map", "--workdir=WORKDIR"), ("*/metrics.jsonl",)),
    "sweep_threads": (("sweep", *_SMALL, *_AXES, "--way=threads", "--workdir=WORKDIR"), ("*/metrics.jsonl",)),
    "sweep_vmap": (("sweep", *_SMALL, *_AXES, "--way=vmap", "--workdir=WORKDIR"), ("*/metrics.jsonl",)),
    "sweep_jobs": (("sweep", *_SMALL, *_AXES, "--way=map", "--jobs=2", "--workdir=WORKDIR"), ("*/metrics.jsonl",)),
    "plot": (("plot", "--figures=manifold", "--workdir=RUN", "--output=WORKDIR"), ("manifold.png", "manifold.npz")),
    "report": (("report", "--workdir=RUN", "--output=WORKDIR"), ("report.html",)),
    "evaluate": (("evaluate", "--metrics=elbo", "--workdir=RUN", "--output=WORKDIR"), ()),
}


def start(words: tuple[str, ...], workdir: pathlib.Path, run: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start a command."""
    named = [word.replace("WORKDIR", str(workdir)).replace("RUN", str(run)) for word in words]
    command = [sys.executable, "-m", "ae_jax", *named]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a command; raise RuntimeError unless its status is 0 and it prints no traceback."""
    _, errors = process.communicate()
    if process.returncode or b"Traceback" in errors:
        raise RuntimeError(f"status {process.returncode}: {errors.decode()[-2000:]}")


def digest(workdir: pathlib.Path, patterns: tuple[str, ...]) -> dict[str, str]:
    """Return {file: digest of its bytes}."""
    paths = [path for pattern in patterns for path in sorted(workdir.glob(pattern))]
    return {str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def disturbed(name: str, workdir: pathlib.Path, run: pathlib.Path, seconds: float, draw: random.Random) -> int:
    """Run a case with kills at random moments until it ends, and return the number of kills."""
    kills = 0
    for _ in range(draw.randint(1, 4)):
        process = start(CASES[name][0], workdir, run)
        try:
            process.wait(draw.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
    finish(start(CASES[name][0], workdir, run))
    return kills


def main() -> int:
    """Run the cases in turn, print the counts, and return 1 if a case failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(CASES))
    options = parser.parse_args()
    draw, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    names, run = options.only.split(","), options.folder / "trained"
    finish(start(CASES["train"][0], run, run))
    expected, seconds = {}, {}
    for name in names:
        began = time.monotonic()
        finish(start(CASES[name][0], options.folder / name, run))
        seconds[name] = time.monotonic() - began
        expected[name] = digest(options.folder / name, CASES[name][1])
    kills, failures, number = dict.fromkeys(names, 0), [], 0
    while time.monotonic() < end:
        number += 1
        for name in names:
            workdir = options.folder / f"{name}_{number}"
            try:
                kills[name] += disturbed(name, workdir, run, seconds[name], draw)
                if digest(workdir, CASES[name][1]) != expected[name]:
                    failures.append(f"{workdir}: other bytes")
            except RuntimeError as error:
                failures.append(f"{workdir}: {error}")
    print("kills:", ", ".join(f"{name} {count}" for name, count in kills.items()), f"; failures: {len(failures)}")
    print(*failures, sep="\n")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
