"""Export a trained encoder or decoder for use without this package.

ae-jax export --workdir=runs/digits --part=both
ae-jax export --workdir=runs/digits --part=encoder --format=npz --output=exported/

A program is used by jax.export.deserialize(data).call(x). manifest.json lists inputs, outputs, scaling and classes.
"""

from absl import flags

from ae_jax.commands import options


def define_flags(into):
    """Define the flags of `export`."""
    flags.DEFINE_string("workdir", None, "the run directory", required=True, flag_values=into)
    flags.DEFINE_string("checkpoint", "newest", "newest, best, or a step number", flag_values=into)
    text = "EMA or raw weights (default: EMA if the run kept one)"
    flags.DEFINE_enum("params", None, ["ema", "raw"], text, flag_values=into)
    flags.DEFINE_enum("part", "both", ["encoder", "decoder", "both"], "what to export", flag_values=into)
    flags.DEFINE_enum("format", "stablehlo", ["stablehlo", "npz"], "a program, or arrays by name", flag_values=into)
    flags.DEFINE_string("output", None, "the folder for results (default: WORKDIR/export)", flag_values=into)
    text = "N; where a network does not allow a free number of examples, programs for 1 and N are written"
    flags.DEFINE_integer("batch_size", 500, text, lower_bound=1, flag_values=into)
    options.define_trust_flag(into)


def main(line):
    """Write the files and print their paths."""
    from ae_jax.commands import export
    from ae_jax.experiments import analysis
    from ae_jax.sweeps import directory

    flag = line.flags
    directory.check_is_no_sweep(flag.workdir)
    trained = analysis.load(flag.workdir, checkpoint=flag.checkpoint, params=flag.params, trust=flag.trust)
    output = flag.output or str(trained.run.path / "export")
    print(*export.write(trained, output, flag.part, flag.format, flag.batch_size), sep="\n")
    return 0
