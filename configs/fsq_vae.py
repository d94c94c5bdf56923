"""Autoencoder with finite scalar quantization.

Each number of a code is rounded to one of a few levels.

Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple", arXiv:2309.15505. There is no codebook to learn,
and no term beside the reconstruction. The levels 8, 5, 5, 5 make 1,000 codes at each place.

    python scripts/train.py --config=configs/fsq_vae.py:mnist --workdir=runs/fsq
    python scripts/evaluate.py --workdir=runs/fsq --metrics=mse,codebook
"""

from configs import common, vq_vae

DATASETS = vq_vae.DATASETS


def get_config(arg=""):
    config, arguments = common.start(arg, datasets=DATASETS, binary=False)
    words = ["quantizer=fsq", arguments.data] + ["binary"] * arguments.binary
    return common.finish(vq_vae.get_config(",".join(words)), arguments)
