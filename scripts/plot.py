"""Draws figures of a trained run, or of a sweep, into its figures/: NAME.png or .pdf, and the arrays drawn in NAME.npz.

python scripts/plot.py --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
python scripts/plot.py --workdir=runs/digits --figures=manifold --manifold_size=30 --format=pdf
python scripts/plot.py --workdir=runs/beta --figures=metric_curve,learning_curves --metric_curve_axis=weights.kl
python scripts/plot.py --workdir=runs/beta --figures=rate_distortion,sample_grid --sample_grid_kind=manifold
"""

from absl import flags

from ae_jax.commands import cli
from ae_jax.experiments import analysis
from ae_jax.sweeps import directory, survey

DEFAULT = {"figures": "reconstructions", "sweep_figures": "metric_curve"}
HELP = (
    "names of files in ae_jax/plots/figures (default: {figures}); of a sweep, in ae_jax/sweeps/figures (default: "
    "{sweep_figures})"
)

cli.define_run_flags()
cli.define_option_flags("figures", "arrays")
cli.define_option_flags("sweep_figures", "arrays")
flags.DEFINE_list("figures", None, HELP.format(**DEFAULT))
flags.DEFINE_enum("format", "png", ["png", "pdf"], "format of the pictures")


def main():
    flag, options = cli.FLAGS, cli.run_flags()
    if directory.is_sweep(flag.workdir):
        opened, draw, kind = survey.load(**options), survey.draw, "sweep_figures"
    else:
        opened, draw, kind = analysis.load(**options), analysis.draw, "figures"
    names = flag.figures or [DEFAULT[kind]]
    for path in draw(opened, names, cli.options(kind, "arrays", names), flag.format):
        print(path)


if __name__ == "__main__":
    cli.run(main, __doc__)
