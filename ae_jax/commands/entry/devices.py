"""Print the devices that JAX uses, and the accelerators that it leaves unused.

ae-jax devices        (on the machine that will train)
"""

from ae_jax.devices import report


def define_flags(into):
    """Define no flags: `devices` has none."""


def main(line):
    """Print the report."""
    print(*report.report(), sep="\n")
