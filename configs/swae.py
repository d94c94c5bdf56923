"""Sliced Wasserstein autoencoder: match latents to the prior along random directions.

Kolouri et al. 2019, "Sliced Wasserstein auto-encoders", arXiv:1804.01947. The likelihood is Gaussian with a variance of
1/2, so the reconstruction term is the sum of squares, up to a constant.

    python scripts/train.py --config=configs/swae.py:mnist --workdir=runs/swae
    python scripts/plot.py --workdir=runs/swae --figures=samples,reconstructions
"""

from configs import common, wae_mmd


def get_config(arg=""):
    config, arguments = common.start(arg, parent=wae_mmd)
    config.objective = dict(name="swae", num_samples=1, projections=50)
    config.weights = dict(reconstruction=1.0, sliced_wasserstein=10.0)
    return common.finish(config, arguments)


def sweep():
    return {"weights.sliced_wasserstein": "1,10,100", "seed": "0:3"}
