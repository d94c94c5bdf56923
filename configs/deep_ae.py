"""Deep autoencoder with dense layers: 784-128-64-32-64-128-784.

Chollet 2016, "Building autoencoders in Keras": about 0.08 nats per pixel.

    python scripts/reproduce.py deep_ae          (minutes on two cores)
"""

from configs import common, simple_ae


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=simple_ae)
    config.model.hidden = (128, 64)
    config.train.epochs = 100
    config.eval.metrics = ("bce", "mse")
    config.expected.bce_nats_per_pixel = dict(value=0.08, source="Keras blog: about 0.08")
    config.regression = dict(bce_nats_per_pixel=dict(value=0.08149))
    return common.finish(config, arguments)


def rows():
    return {"deep_ae": "mnist"}
