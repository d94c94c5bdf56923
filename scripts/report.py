"""Writes report.html into the directory of a run or of a sweep: one page that needs no server and no network.

python scripts/report.py --workdir=runs/digits
python scripts/report.py --workdir=runs/digits --compare=runs/beta,runs/wide
python scripts/report.py --workdir=runs/sweep
"""

from absl import flags

from ae_jax.commands import cli, report

flags.DEFINE_string("workdir", None, "the directory of a run or of a sweep", required=True)
flags.DEFINE_list("compare", [], "other runs to show beside it")


def main():
    print(report.write(cli.FLAGS.workdir, cli.paths(cli.FLAGS.compare)))


if __name__ == "__main__":
    cli.run(main, __doc__)
