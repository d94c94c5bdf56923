"""Use a trained run on your own files: images (a folder, or one), MIDI, .npy, .npz; results keep their names.

python scripts/apply.py --workdir=runs/denoise --task=reconstruct --input=photos/ --output=clean/
python scripts/apply.py --workdir=runs/digits --task=encode --input=photos/ --output=codes/ --resize
python scripts/apply.py --workdir=runs/digits --task=decode --input=codes/photos.csv --output=decoded/
python scripts/apply.py --workdir=runs/digits --task=interpolate --input=a.png,b.png --output=between/ --steps=12
python scripts/apply.py --workdir=runs/digits --task=sample --output=new/ --count=64 --temperature=0.8
python scripts/apply.py --workdir=runs/digits --task=score --input=photos/ --output=scores/ --threshold=quantile:0.95
python scripts/apply.py --workdir=runs/melodies --task=reconstruct --input=a.mid --output=b/ --attribute=density:+1

Without --input, encode, reconstruct and score read the run's own data: --split, --data, --limit. The directions of
--attribute are made from the training data, or from the --data given.
Exit status 1 where a file could not be read, or not all of it; it is named, and the others are done.
"""

import sys

from absl import flags

from ae_jax.commands import options
from ae_jax.core.errors import UserError

_INPUT = (
    "images or MIDI files (a folder, or one), .npy, .npz; latents for decode; labels for sample; A,B for interpolate"
)


def define_flags(into):
    """Define the flags of `apply`."""
    options.define_run_flags(into)
    options.define_shared_flags(into, "tasks", "run")
    text = "what to do: encode, decode, reconstruct, sample, interpolate or score"
    flags.DEFINE_string("task", None, text, required=True, flag_values=into)
    flags.DEFINE_string("input", "", _INPUT, flag_values=into)
    flags.DEFINE_string("output", None, "the folder for results", required=True, flag_values=into)


def main(line):
    """Run the task; print the paths written, and what could not be read on standard error."""
    from ae_jax.commands.apply import shared
    from ae_jax.experiments import analysis
    from ae_jax.sweeps import directory

    flag = line.flags
    chosen = options.shared_options(flag, "tasks", "run", flag.task)
    of_own_data = flag["split"].present or (flag["data"].present and not chosen.get("attribute"))
    if flag.input and of_own_data:
        raise UserError("--split and --data are for the run's own data, --input for your files\nexpected one of them")
    directory.check_is_no_sweep(flag.workdir)
    trained = analysis.load(**options.run_options(flag))
    paths, unreadable = shared.apply(trained, flag.task, flag.input, flag.output, chosen)
    print(*paths, sep="\n")
    print(*unreadable, sep="\n", end="\n" if unreadable else "", file=sys.stderr)
    return 1 if unreadable else 0
