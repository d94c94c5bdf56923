"""Write report.html into the directory of a run or of a sweep: one page that needs no server and no network.

ae-jax report --workdir=runs/digits
ae-jax report --workdir=runs/digits --compare=runs/beta,runs/wide
ae-jax report --workdir=runs/sweep
"""

from absl import flags

from ae_jax.commands import cli, options


def define_flags(into):
    """Define the flags of `report`."""
    flags.DEFINE_string("workdir", None, "the directory of a run or of a sweep", required=True, flag_values=into)
    flags.DEFINE_list("compare", [], "other runs to show beside it", flag_values=into)
    options.define_trust_flag(into)  # as every command that opens runs; a report imports nothing that a config names


def main(line):
    """Write the page, and print its path."""
    from ae_jax.commands import report

    print(report.write(line.flags.workdir, cli.paths(line.flags.compare)))
