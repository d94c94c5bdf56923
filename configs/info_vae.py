"""InfoVAE: match the aggregate posterior to the prior by MMD (MMD-VAE).

MMD is the maximum mean discrepancy.

Zhao et al. 2019, "InfoVAE: balancing learning and inference in variational autoencoders", arXiv:1706.02262. With the
paper's alpha and lambda, weights.kl = 1 - alpha and weights.mmd = alpha + lambda - 1; here alpha = 0 and lambda = 11.

    python scripts/train.py --config=configs/info_vae.py:mnist --workdir=runs/info
    python scripts/evaluate.py --workdir=runs/info --metrics=elbo,mmd_to_prior
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.latent_dim = 10
    config.objective = dict(name="info", num_samples=1, kernel="inverse_multiquadratic", unbiased=True)
    config.weights.mmd = 10.0
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)


def sweep():
    return {"weights.mmd": "1,10,100,1000", "seed": "0:3"}
