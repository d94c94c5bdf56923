"""Convolutional autoencoder: 4x4 of stride 2 with 32 and 64 channels, dense 256, a code of 16, and the mirror image.

python scripts/train.py --config=configs/conv_ae.py:mnist --workdir=runs/conv_ae
python scripts/plot.py --workdir=runs/conv_ae --figures=reconstructions,interpolations
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(encoder="conv", decoder="conv", channels=(32, 64), kernel=4, hidden=(256,), latent_dim=16)
    if arguments.data != "digits":
        config.train.epochs = 20
    return common.finish(config, arguments)
