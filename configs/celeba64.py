"""Faces of 64x64 pixels: the residual VAE of `cifar10`, one size of image deeper, in the memory of half a batch.

Liu et al. 2015, "Deep learning face attributes in the wild" (CelebA), here the centre square of 178 pixels; published
bits per dimension are mostly of a tighter crop, and not comparable. Not yet run on CelebA itself, whose files could not
be had: `:smoke` trains on generated images of the same size.

    python scripts/train.py --config=configs/celeba64.py --workdir=runs/celeba64
    python scripts/train.py --config=configs/celeba64.py:generated --workdir=runs/generated
"""

from configs import cifar10, common

DATASETS = {"generated": 64, "celeb_a": 5000}


def get_config(arg=""):
    config, arguments = common.start(arg, data="celeb_a", parent=cifar10, datasets=DATASETS)
    config.model.update(channels=(64, 128, 256, 256), remat=True)
    config.train.accumulate = 2
    if arguments.data == "celeb_a":
        config.train.epochs = 40
    if arguments.smoke:
        config.model.update(channels=(4,), blocks=1)
    return common.finish(config, arguments)
