"""VAE 784-500-20-500-784, the network of the original paper, on grey levels.

Kingma and Welling 2014, arXiv:1312.6114, section 5. Grey levels under a Bernoulli have no exact likelihood, so the ELBO
is a surrogate.

    python scripts/train.py --config=configs/vae_mlp.py:mnist --workdir=runs/vae_mlp
    python scripts/evaluate.py --workdir=runs/vae_mlp --metrics=elbo
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=vae)
    config.model.update(hidden=(500,), latent_dim=20)
    config.data.validation = 0
    if arguments.data != "digits":
        config.train.epochs = 10
    config.expected.elbo = dict(value=-105.1, tolerance=0.6, source="own prototype, surrogate")
    return common.finish(config, arguments)


def rows():
    return {"vae_mlp": "mnist"}
