"""Use a trained run on your own files, and write the results under the same names.

The files are images or MIDI files (one, or a folder), or arrays (.npy, .npz).

ae-jax apply --workdir=runs/denoise --task=reconstruct --input=photos/ --output=clean/
ae-jax apply --workdir=runs/digits --task=encode --input=photos/ --output=codes/ --resize
ae-jax apply --workdir=runs/digits --task=decode --input=codes/photos.csv --output=decoded/
ae-jax apply --workdir=runs/digits --task=interpolate --input=a.png,b.png --output=between/ --steps=12
ae-jax apply --workdir=runs/digits --task=sample --output=new/ --count=64 --temperature=0.8
ae-jax apply --workdir=runs/digits --task=score --input=photos/ --output=scores/ --threshold=quantile:0.95
ae-jax apply --workdir=runs/melodies --task=reconstruct --input=a.mid --output=b/ --attribute=density:+1

Without --input, encode, reconstruct and score read the run's own data, which --split, --data and --limit select. The
directions of --attribute are computed from the training data, or from --data if it is given.
The exit status is 1 if a file could not be read completely; the command names it, and processes the others.
"""

import sys

from absl import flags

from ae_jax.commands import options
from ae_jax.core.errors import UserError

_INPUT = (
    "images or MIDI files (one, or a folder), .npy or .npz; latents for decode; labels for sample; A,B for interpolate"
)
# The kinds of names that this command takes, each with the function whose keywords are flags.
NAMES = {"tasks": "run"}


def define_flags(into):
    """Define the flags of `apply`."""
    options.define_run_flags(into)
    options.define_shared_flags(into, "tasks", "run")
    text = "what to do: encode, decode, reconstruct, sample, interpolate, score, compress or decompress"
    flags.DEFINE_string("task", None, text, required=True, flag_values=into)
    flags.DEFINE_string("input", "", _INPUT, flag_values=into)
    flags.DEFINE_string("output", None, "the folder for results", required=True, flag_values=into)


def main(line):
    """Run the task and print the paths written; name unreadable files on standard error."""
    flag = line.flags
    chosen = options.shared_options(flag, "tasks", "run", flag.task)
    from ae_jax.commands.apply import shared
    from ae_jax.experiments import analysis
    from ae_jax.sweeps import directory

    # --attribute needs data to compute its directions, also beside --input.
    of_own_data = flag["split"].present or (flag["data"].present and not chosen.get("attribute"))
    if flag.input and of_own_data:
        raise UserError(
            "--split and --data select the run's own data, and --input names your files\nuse one or the other"
        )
    directory.check_is_no_sweep(flag.workdir)
    trained = analysis.load(**options.run_options(flag))
    paths, unreadable = shared.apply(trained, flag.task, flag.input, flag.output, chosen)
    print(*paths, sep="\n")
    print(*unreadable, sep="\n", end="\n" if unreadable else "", file=sys.stderr)
    return 1 if unreadable else 0
