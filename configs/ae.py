"""Autoencoder with dense layers and a 32-D latent.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313.

    python scripts/train.py --config=configs/ae.py:digits --workdir=runs/ae
    python scripts/plot.py --workdir=runs/ae --figures=reconstructions,scatter
"""

from configs import common


def get_config(arg=""):
    config, arguments = common.start(arg)
    config.model.update(name="ae", latent_dim=32, hidden=(512,))
    config.objective = dict(name="reconstruction", num_samples=1)
    config.weights = dict(reconstruction=1.0)
    config.eval.update(metrics=("bce", "mse"), criterion="bce_nats_per_pixel")
    if arguments.data == "digits":
        config.train.steps = 3000
    else:
        config.train.epochs = 50
    return common.finish(config, arguments)
