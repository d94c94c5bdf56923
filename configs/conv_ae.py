"""Convolutional autoencoder with 28,353 parameters: 3x3 convolutions, 32 channels.

Keras example "Convolutional autoencoder for image denoising" (Valdarrama 2021): 0.0622 nats per pixel after 50 epochs,
validated on the test split. The encoder pools twice, and the decoder mirrors it.

    python scripts/reproduce.py conv_ae
    python scripts/train.py --config=configs/conv_ae.py:digits --workdir=runs/conv_ae
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(encoder="conv", decoder="conv", channels=(32, 32), kernel=3, hidden=(), latent_dim=0)
    config.model.update(down="max_pool", up="transposed", project=False, final_kernel=3, kernel_init="glorot_uniform")
    config.data.validation = 0
    if arguments.data != "digits":
        config.train.epochs = 50
    config.expected.bce_nats_per_pixel = dict(value=0.0622, source="Keras example")
    return common.finish(config, arguments)


def rows():
    return {"conv_ae": "mnist"}
