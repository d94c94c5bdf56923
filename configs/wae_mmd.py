"""Wasserstein autoencoder: match deterministic latents to the prior by MMD.

MMD is the maximum mean discrepancy.

Tolstikhin et al. 2018, "Wasserstein auto-encoders", arXiv:1711.01558. The likelihood is Gaussian with a variance of
1/2, so the reconstruction term is the paper's sum of squares, up to a constant. Its lambda is weights.mmd.

    python scripts/train.py --config=configs/wae_mmd.py:mnist --workdir=runs/wae
    python scripts/plot.py --workdir=runs/wae --figures=samples,reconstructions
    python scripts/evaluate.py --workdir=runs/wae --metrics=mse,mmd_to_prior
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(name="wae", latent_dim=8, likelihood="gaussian", scale=0.5**0.5)
    config.objective = dict(name="wae_mmd", num_samples=1, kernel="inverse_multiquadratic", unbiased=True)
    config.weights.mmd = 10.0
    config.eval.update(metrics=("mse", "mmd_to_prior"), criterion="mse_per_pixel")
    if arguments.data != "digits":
        config.train.epochs = 20
    return common.finish(config, arguments)


def sweep():
    return {"weights.mmd": "1,10,100", "seed": "0:3"}
