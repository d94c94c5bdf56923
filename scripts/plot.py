"""Draws figures of a trained run, or of a sweep, into its figures/: NAME.png or .pdf, and the arrays drawn in NAME.npz.

python scripts/plot.py --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
python scripts/plot.py --workdir=runs/digits --figures=manifold --manifold_size=30 --format=pdf
python scripts/plot.py --workdir=runs/beta --figures=metric_curve,learning_curves --metric_curve_axis=weights.kl
python scripts/plot.py --workdir=runs/beta --figures=rate_distortion,sample_grid --sample_grid_kind=manifold
"""

from absl import flags

from ae_jax import analysis, cli, survey, sweepdir

DEFAULT = {"plots": "reconstructions", "sweep_plots": "metric_curve"}
OF = "names of files in ae_jax/plots, by default {plots}; of a sweep in ae_jax/sweep_plots, by default {sweep_plots}"

cli.define_run_flags()
cli.define_option_flags("plots", "arrays")
cli.define_option_flags("sweep_plots", "arrays")
flags.DEFINE_list("figures", None, OF.format(**DEFAULT))
flags.DEFINE_enum("format", "png", ["png", "pdf"], "format of the pictures")


def main():
    flag, options = cli.FLAGS, cli.run_flags()
    if sweepdir.is_sweep(flag.workdir):
        opened, draw, folder = survey.load(**options), survey.draw, "sweep_plots"
    else:
        opened, draw, folder = analysis.load(**options), analysis.draw, "plots"
    names = flag.figures or [DEFAULT[folder]]
    for path in draw(opened, names, cli.options(folder, "arrays", names), flag.format):
        print(path)


if __name__ == "__main__":
    cli.run(main, __doc__)
