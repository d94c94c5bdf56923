"""An autoencoder of sequences by LSTMs: the rows of an image as time steps, or a series from an .npy file [N, T].

Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs", arXiv:1502.04681.

    python scripts/train.py --config=configs/lstm_ae.py:digits --workdir=runs/lstm
    python scripts/train.py --config=configs/lstm_ae.py --workdir=runs/series --config.data.source=files \
        --config.data.path=series.npy --config.model.likelihood=gaussian
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(encoder="recurrent", decoder="recurrent", hidden=(128,), latent_dim=16)
    config.eval.update(metrics=("mse", "reconstruction"), criterion="mse_per_pixel")
    config.optimizer.clip = 1.0
    if arguments.data != "digits":
        config.train.epochs = 10
    return common.finish(config, arguments)
