"""Convolutional autoencoder with a 2-D latent, the network of `conv_vae_2d` without a prior.

Its latent space has holes that decode to no digit, where that of a VAE has none.

python scripts/reproduce.py conv_ae_2d
python scripts/plot.py --workdir=runs/reproduce/conv_ae_2d --figures=scatter,latent_noise,manifold
"""

from configs import ae, common, conv_vae_2d


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=ae)
    net = conv_vae_2d.get_config(arguments.data).model
    config.model = {key: value for key, value in net.items() if key not in ("prior", "posterior")}
    config.model.name = "ae"
    config.data.validation = 0
    config.eval.update(metrics=("bce", "mse", "pca_mse"), criterion="mse_per_pixel")
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected.mse_over_pca = dict(value=1.0, judged=False, source="PCA with two components, beside")
    config.regression = dict(mse_per_pixel=dict(value=0.0410))
    return common.finish(config, arguments)


def rows():
    return {"conv_ae_2d": "mnist"}
