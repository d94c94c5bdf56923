"""Beta-VAE: a VAE whose KL term has the weight beta = 4.

Higgins et al. 2017, "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR.

    python scripts/reproduce.py beta_vae
    python scripts/plot.py --workdir=runs/reproduce/beta_vae --figures=traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.weights.kl = 4.0
    config.model.latent_dim = 10
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected.elbo = dict(value=-117.59, source="PyTorch prototype, surrogate")
    return common.finish(config, arguments)


def sweep():
    return {"weights.kl": "1,2,4,8", "seed": "0:3"}


def rows():
    return {"beta_vae": "mnist"}
