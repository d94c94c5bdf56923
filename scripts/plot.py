"""Draws figures of a trained run into its figures/: NAME.png or .pdf, and the arrays drawn in NAME.npz.

python scripts/plot.py --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
python scripts/plot.py --workdir=runs/digits --figures=manifold --manifold_size=30 --format=pdf
"""

from absl import flags

from ae_jax import analysis, cli

cli.define_run_flags()
cli.define_option_flags("plots", "arrays")
flags.DEFINE_list("figures", ["reconstructions"], "names of files in ae_jax/plots")
flags.DEFINE_enum("format", "png", ["png", "pdf"], "format of the pictures")


def main():
    trained = analysis.load(**cli.run_flags())
    for path in analysis.draw(trained, cli.FLAGS.figures, cli.options("plots", "arrays"), cli.FLAGS.format):
        print(path)


if __name__ == "__main__":
    cli.run(main, __doc__)
