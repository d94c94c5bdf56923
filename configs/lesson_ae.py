"""Convolutional autoencoder of the lesson: 3x3 convolutions, pooling, a 4x4x8 latent.

Chollet 2016, "Building autoencoders in Keras": 0.094 nats per pixel after 50 epochs. The convolutions have 16, 8 and 8
channels. The batch size is 128, as in `conv_ae`.

    python scripts/reproduce.py lesson_ae
"""

from configs import common, conv_ae

# The number of the blog is of 2016, when its models were trained with Adadelta.
_WHY = "Adam 1e-3 here, Adadelta there"


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=conv_ae)
    config.model.update(channels=(16, 8, 8), up="nearest")
    config.expected.bce_nats_per_pixel = dict(value=0.094, source="Keras blog", explained=_WHY)
    return common.finish(config, arguments)


def rows():
    return {"lesson_ae": "mnist"}
