"""FactorVAE: a critic estimates the total correlation, which the encoder reduces.

Kim and Mnih 2018, "Disentangling by factorising", arXiv:1802.05983. Its gamma is weights.total_correlation.

    python scripts/train.py --config=configs/factor_vae.py:mnist --workdir=runs/factor
    python scripts/plot.py --workdir=runs/factor --figures=traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.update(name="factor", latent_dim=10, critic_hidden=(1000,) * 6)
    config.objective.name = "factor"
    config.weights.update(total_correlation=10.0, critic=1.0)
    # The critic has an optimiser of its own, with the paper's momentum.
    config.optimizer.players = dict(critic=dict(learning_rate=1e-4, b1=0.5, b2=0.9))
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)


def sweep():
    return {"weights.total_correlation": "10,20,40,100", "seed": "0:3"}
