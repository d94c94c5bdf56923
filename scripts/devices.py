"""Says what JAX sees of this machine, and whether it is used well.

python scripts/devices.py        (on the machine that is to train)
"""

from ae_jax.commands import cli
from ae_jax.devices import report


def main():
    print(*report.report(), sep="\n")


if __name__ == "__main__":
    cli.run(main, __doc__)
