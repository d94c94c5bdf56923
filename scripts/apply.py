"""Uses a trained run on your own files: images (a folder, or one), MIDI, .npy, .npz; results keep their names.

python scripts/apply.py --workdir=runs/denoise --task=reconstruct --input=photos/ --output=clean/
python scripts/apply.py --workdir=runs/digits --task=encode --input=photos/ --output=codes/ --resize
python scripts/apply.py --workdir=runs/digits --task=decode --input=codes/photos.csv --output=decoded/
python scripts/apply.py --workdir=runs/digits --task=interpolate --input=a.png,b.png --output=between/ --steps=12
python scripts/apply.py --workdir=runs/digits --task=sample --output=new/ --count=64 --temperature=0.8
python scripts/apply.py --workdir=runs/melodies --task=reconstruct --input=a.mid --output=b/ --attribute=density:+1

Without --input, encode and reconstruct read the run's own data: --split, --data, --limit. The directions of --attribute
are made from the training data, or from the --data given.
Exit status 1 where a file could not be read, or not all of it; it is named, and the others are done.
"""

import sys

from absl import flags

from ae_jax.commands import cli
from ae_jax.commands.apply import shared
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis
from ae_jax.sweeps import directory

cli.define_run_flags()
cli.define_shared_flags("tasks", "run")
flags.DEFINE_string("task", None, "what to do: encode, decode, reconstruct, sample or interpolate", required=True)
flags.DEFINE_string(
    "input",
    "",
    "images or MIDI files (a folder, or one), .npy, .npz; codes for decode; labels for sample; A,B for interpolate",
)
flags.DEFINE_string("output", None, "the folder for results", required=True)


def main():
    flag = cli.FLAGS
    options = cli.shared_options("tasks", "run", flag.task)
    of_own = flag["split"].present or (flag["data"].present and not options.get("attribute"))
    if flag.input and of_own:
        raise UserError("--split and --data are for the run's own data, --input for your files\nexpected one of them")
    directory.check_is_no_sweep(flag.workdir)
    trained = analysis.load(**cli.run_flags())
    paths, unreadable = shared.apply(trained, flag.task, flag.input, flag.output, options)
    print(*paths, sep="\n")
    print(*unreadable, sep="\n", end="\n" if unreadable else "", file=sys.stderr)
    return 1 if unreadable else 0


if __name__ == "__main__":
    cli.run(main, __doc__)
