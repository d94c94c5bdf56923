"""DIP-VAE: the VAE with penalties that make the covariance of its latent the identity.

Kumar et al. 2018, "Variational inference of disentangled latent concepts from unlabeled observations",
arXiv:1711.00848. With objective.kind=i, weights.diagonal is ten times weights.off_diagonal.

    python scripts/train.py --config=configs/dip_vae.py:mnist --workdir=runs/dip
    python scripts/plot.py --workdir=runs/dip --figures=traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.latent_dim = 10
    config.objective = dict(name="dip", num_samples=1, kind="ii")
    config.weights.update(off_diagonal=10.0, diagonal=10.0)
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)


def sweep():
    return {"weights.off_diagonal": "1,2,5,10,20,50", "seed": "0:3"}
