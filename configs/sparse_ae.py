"""A sparse autoencoder: `simple_ae` with an L1 penalty on its code.

Chollet 2016, "Building autoencoders in Keras". There the penalty of 1e-4 stands beside a mean over 784 pixels; beside
nats per example it is 784 times that.

    python scripts/reproduce.py sparse_ae        (minutes on two cores; expects 0.0918)
"""

from configs import common, simple_ae


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=simple_ae)
    config.objective.name = "sparse"
    config.weights.sparsity = 1e-4 * 784
    config.train.epochs = 100
    config.eval.metrics = ("bce", "mse", "mean_code")
    source = "own prototype; Keras blog: 0.10, other optimizer"
    config.expected.bce_nats_per_pixel = dict(value=0.0918, source=source)
    return common.finish(config, arguments)


def rows():
    return {"sparse_ae": "mnist"}
