"""VAE with a 2-D latent, whose latent space can be drawn.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114, figure 4.

    python scripts/train.py --config=configs/vae.py:digits --workdir=runs/digits
    python scripts/reproduce.py vae        (784-512-2 on MNIST)
    python scripts/plot.py --workdir=runs/digits --figures=manifold,scatter,reconstructions,samples
"""

from configs import common

# Beside the usual sets: Larochelle's static binary MNIST, and Frey faces, each with its own validation images.
DATASETS = {**common.DATASETS, "mnist_static": 10000, "freyfaces": 200}


def get_config(arg=""):
    config, arguments = common.start(arg, datasets=DATASETS)
    config.model.update(name="vae", latent_dim=2, hidden=(512,), prior="standard_normal", posterior="diagonal_normal")
    if arguments.data == "digits":
        config.train.steps = 3000
    else:
        config.train.epochs = 50
        config.data.validation = 0
    config.expected.elbo = dict(value=-148.58, source="PyTorch prototype, surrogate")
    return common.finish(config, arguments)


def rows():
    return {"vae": "mnist"}
