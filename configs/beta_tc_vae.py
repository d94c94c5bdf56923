"""beta-TC-VAE: a larger weight on the total correlation of the latent dimensions.

Chen et al. 2018, "Isolating sources of disentanglement in VAEs", arXiv:1802.04942. Its beta
is weights.total_correlation.

    python scripts/train.py --config=configs/beta_tc_vae.py:mnist --workdir=runs/beta_tc
    python scripts/plot.py --workdir=runs/beta_tc --figures=traversals
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.latent_dim = 10
    config.objective = dict(name="beta_tc", num_samples=1, estimator="stratified")
    config.weights = dict(reconstruction=1.0, mutual_information=1.0, total_correlation=6.0, dimension_wise=1.0)
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)


def sweep():
    return {"weights.total_correlation": "1,2,4,6,8,10", "seed": "0:3"}
