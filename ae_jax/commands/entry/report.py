"""Write report.html, a page on a run or a sweep, into its directory.

The page is one file, which needs neither a server nor a network.

ae-jax report --workdir=runs/digits
ae-jax report --workdir=runs/digits --compare=runs/beta,runs/wide
ae-jax report --workdir=runs/sweep
"""

from absl import flags

from ae_jax.commands import cli, options


def define_flags(into):
    """Define the flags of `report`."""
    flags.DEFINE_string("workdir", None, "the directory of a run or of a sweep", required=True, flag_values=into)
    flags.DEFINE_list("compare", [], "run directories to show beside this run", flag_values=into)
    options.define_output_flag(into, "the folder for report.html (default: the workdir)")
    # A report imports nothing that a config names; the flag is accepted because all commands that open runs have it.
    options.define_trust_flag(into)


def main(line):
    """Write the page, and print its path."""
    from ae_jax.commands import report

    print(report.write(line.flags.workdir, cli.paths(line.flags.compare), line.flags.output))
