"""Draws figures of a trained run, or of a sweep, into its figures/: NAME.png or .pdf, and the arrays drawn in NAME.npz.

python scripts/plot.py --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
python scripts/plot.py --workdir=runs/digits --figures=manifold --manifold_size=30 --format=pdf
python scripts/plot.py --workdir=runs/beta --figures=metric_curve,learning_curves --metric_curve_axis=weights.kl
python scripts/plot.py --workdir=runs/beta --figures=rate_distortion,sample_grid --sample_grid_kind=manifold
"""

from absl import flags

from ae_jax import analysis, cli, survey, sweepdir

cli.define_run_flags()
cli.define_option_flags("plots", "arrays")
cli.define_option_flags("sweep_plots", "arrays")
flags.DEFINE_list("figures", None, "names of files in ae_jax/plots, or of a sweep in ae_jax/sweep_plots")
flags.DEFINE_enum("format", "png", ["png", "pdf"], "format of the pictures")


def main():
    flag, options = cli.FLAGS, cli.run_flags()
    if sweepdir.is_sweep(flag.workdir):
        opened, draw, folder, default = survey.load(**options), survey.draw, "sweep_plots", ["metric_curve"]
    else:
        opened, draw, folder, default = analysis.load(**options), analysis.draw, "plots", ["reconstructions"]
    names = flag.figures or default
    for path in draw(opened, names, cli.options(folder, "arrays", names), flag.format):
        print(path)


if __name__ == "__main__":
    cli.run(main, __doc__)
