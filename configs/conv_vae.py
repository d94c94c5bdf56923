"""Convolutional VAE: 4x4 kernels of stride 2, a dense layer of 256 and a 16-D latent.

The encoder has 32 and 64 channels, and the decoder mirrors it.

python scripts/train.py --config=configs/conv_vae.py:mnist --workdir=runs/conv_vae
python scripts/plot.py --workdir=runs/conv_vae --figures=reconstructions,samples,traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.update(encoder="conv", decoder="conv", channels=(32, 64), kernel=4, hidden=(256,), latent_dim=16)
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)
