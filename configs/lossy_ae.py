"""What an autoencoder loses, and how that depends on the loss: one network under three of them, a code of 16.

Cross-entropy, squared and absolute error; each is to be the best by its own measure.

    python scripts/reproduce.py lossy_ae
    cd runs/reproduce; python ../../scripts/plot.py --workdir=lossy_cross_entropy --figures=loss_comparison \\
        --loss_comparison_runs=lossy_squared_error,lossy_absolute_error
"""

from ae_jax import errors
from configs import ae, common

_LIKELIHOODS = {
    "cross_entropy": dict(likelihood="bernoulli"),
    "squared_error": dict(likelihood="gaussian", scale=0.1),
    "absolute_error": dict(likelihood="laplace", scale=0.1),
}


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=ae, loss="cross_entropy")
    if arguments.loss not in _LIKELIHOODS:
        raise errors.unknown("loss", arguments.loss, _LIKELIHOODS)
    config.model.update(hidden=(512, 128), latent_dim=16, **_LIKELIHOODS[arguments.loss])
    config.data.validation = 0
    config.eval.metrics = ("bce", "mse", "mae")
    if arguments.data != "digits":
        config.train.epochs = 20
    others = dict(row="lossy_cross_entropy", tolerance=0.0, source="the net trained on cross-entropy")
    config.expected = {
        "cross_entropy": dict(
            bce_nats_per_pixel=dict(row="lossy_squared_error", tolerance=0.0, source="on squared error")
        ),
        "squared_error": dict(mse_per_pixel=others),
        "absolute_error": dict(mae_per_pixel=others),
    }[arguments.loss]
    return common.finish(config, arguments)


def rows():
    return {f"lossy_{loss}": f"mnist,loss={loss}" for loss in _LIKELIHOODS}
