"""Draw figures of a trained run or of a sweep into its folder figures/.

NAME.png or NAME.pdf is the figure, and NAME.npz has the arrays that it shows.

ae-jax plot --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
ae-jax plot --workdir=runs/digits --figures=manifold --manifold_size=30 --format=pdf
ae-jax plot --workdir=runs/beta --figures=metric_curve,learning_curves --metric_curve_axis=weights.kl
ae-jax plot --workdir=runs/beta --figures=rate_distortion,sample_grid --sample_grid_kind=manifold
"""

from absl import flags

from ae_jax.commands import options

_DEFAULT = {"figures": "reconstructions", "sweep_figures": "metric_curve"}
_FIGURES = (
    "figures of a run: names of files in ae_jax/plots/figures (default: {figures}); figures of a sweep: names of files "
    "in ae_jax/sweeps/figures (default: {sweep_figures})"
)
# The kinds of names that this command takes, each with the function whose keywords are flags.
NAMES = {"figures": "arrays", "sweep_figures": "arrays"}


def define_flags(into):
    """Define the flags of `plot`."""
    options.define_run_flags(into)
    options.define_option_flags(into, "figures", "arrays")
    options.define_option_flags(into, "sweep_figures", "arrays")
    options.define_output_flag(into, "the folder for the figures (default: figures/ in the workdir)")
    flags.DEFINE_list("figures", None, _FIGURES.format(**_DEFAULT), flag_values=into)
    flags.DEFINE_enum("format", "png", ["png", "pdf"], "file format of the figures", flag_values=into)


def main(line):
    """Draw the figures, and print their paths."""
    options.check_names(list(NAMES), line.flags.figures or [])
    from ae_jax.experiments import analysis
    from ae_jax.sweeps import directory, survey

    flag, chosen = line.flags, options.run_options(line.flags)
    if directory.is_sweep(flag.workdir):
        opened, draw, kind = survey.load(**chosen), survey.draw, "sweep_figures"
    else:
        opened, draw, kind = analysis.load(**chosen), analysis.draw, "figures"
    names = flag.figures or [_DEFAULT[kind]]
    for path in draw(opened, names, options.options(flag, kind, "arrays", names), flag.format, flag.output):
        print(path)
