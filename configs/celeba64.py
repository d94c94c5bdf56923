"""Faces of 64x64 pixels: the residual VAE of `cifar10` with one more level.

Liu et al. 2015, "Deep learning face attributes in the wild" (CelebA), here the centre square of 178 pixels. Most
published bits per dimension use a tighter crop and are not comparable. Gradient checkpointing and two micro-batches per
step limit the memory. The config has not been run on CelebA itself, whose files were not available; `:smoke` trains on
generated images of the same size.

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
