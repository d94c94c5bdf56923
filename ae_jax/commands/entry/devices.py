"""Print what JAX sees of this machine, and whether it is used well.

ae-jax devices        (on the machine that is to train)
"""

from ae_jax.devices import report


def define_flags(into):
    """Define the flags of `devices`: none."""


def main(line):
    """Print the report."""
    print(*report.report(), sep="\n")
