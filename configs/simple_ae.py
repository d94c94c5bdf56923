"""The simplest autoencoder: 784-32-784, one dense layer each way.

Chollet 2016, "Building autoencoders in Keras": about 0.09 nats per pixel, the cross-entropy of grey levels on the test
split.

    python scripts/reproduce.py simple_ae        (a minute on two cores)
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=ae)
    config.model.update(hidden=(), latent_dim=32, code_activation="relu", kernel_init="glorot_uniform")
    config.train.update(steps=None, epochs=50, batch_size=256)
    config.data.validation = 0
    config.eval.metrics = ("bce", "mse", "mean_code")
    config.expected.bce_nats_per_pixel = dict(value=0.09, source="Keras blog: about 0.09")
    config.regression = dict(bce_nats_per_pixel=dict(value=0.09147))
    return common.finish(config, arguments)


def rows():
    return {"simple_ae": "mnist"}
