"""Fuzz every target in turn for some minutes, and print the counts: python -m tests.fuzz --minutes=10 [--seed=0]."""

import argparse
import collections
import time
import warnings

from tests.fuzz import targets, test_fuzz

BATCH = 100


def main() -> int:
    """Run the fuzzers, and return 1 if a fault was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    end, number = time.monotonic() + 60 * options.minutes, options.seed
    counts: collections.Counter[str] = collections.Counter()
    faults: dict[str, str] = {}
    while time.monotonic() < end:
        for name in targets.TARGETS:
            counts[name] += BATCH
            try:
                test_fuzz.run(name, BATCH, number)
            except (targets.Fault, BaseExceptionGroup) as error:
                faults[f"{name}, seed {number}"] = str(error)[:2000]
        number += 1
    print(f"seeds {options.seed} to {number - 1}:", ", ".join(f"{name} {count}" for name, count in counts.items()))
    for name, text in faults.items():
        print(f"fault in {name}: {text}")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
