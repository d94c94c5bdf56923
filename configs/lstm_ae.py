r"""LSTM autoencoder of sequences: the rows of an image, or series from an .npy file [N, T].

Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs", arXiv:1502.04681.

    python scripts/reproduce.py lstm_ae
    python scripts/train.py --config=configs/lstm_ae.py --workdir=runs/series --config.data.source=files \
        --config.data.path=series.npy --config.model.likelihood=gaussian
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(encoder="recurrent", decoder="recurrent", hidden=(128,), latent_dim=16)
    config.data.validation = 0
    config.eval.update(metrics=("mse", "reconstruction", "pca_mse"), criterion="mse_per_pixel")
    config.optimizer.clip = 1.0  # gradients through many time steps can explode
    if arguments.data != "digits":
        config.train.epochs = 10
    config.expected.mse_per_pixel = dict(metric="pca_mse_per_pixel", source="PCA with 16 components")
    return common.finish(config, arguments)


def rows():
    return {"lstm_ae": "mnist"}
