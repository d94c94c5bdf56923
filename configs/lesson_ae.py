"""The convolutional autoencoder of the lesson: 3x3 convolutions 16-8-8 with pooling, a code of 4x4x8 = 128 numbers.

Chollet 2016, "Building autoencoders in Keras": 0.094 nats a pixel after 50 epochs of batches of 128, as `conv_ae` has.

    python scripts/reproduce.py lesson_ae
"""

from configs import common, conv_ae


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=conv_ae)
    config.model.update(channels=(16, 8, 8), up="nearest")
    config.expected.bce_nats_per_pixel = dict(value=0.094, source="Keras blog")
    return common.finish(config, arguments)


def rows():
    return {"lesson_ae": "mnist"}
