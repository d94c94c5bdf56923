"""beta-VAE: the VAE with its KL term weighed by beta = 4.

Higgins et al. 2017, "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR.

    python scripts/train.py --config=configs/beta_vae.py:mnist --workdir=runs/beta
    python scripts/plot.py --workdir=runs/beta --figures=traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.weights.kl = 4.0
    config.model.latent_dim = 10
    return common.finish(config, arguments)
