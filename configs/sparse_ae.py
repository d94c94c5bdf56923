"""Sparse autoencoder: `simple_ae` with an L1 penalty on the latent, or a KL penalty (`:kl`).

Chollet 2016, "Building autoencoders in Keras". There, the penalty of 1e-4 is added to a mean over 784 pixels. Here the
loss is in nats per example, so the penalty is 784 times as large. `:kl` is that of Ng 2011, "Sparse autoencoder",
CS294A lecture notes: the latent is a sigmoid, and the penalty holds the mean of each unit near a small target.

    python scripts/reproduce.py sparse_ae sparse_ae_kl        (minutes on two cores)
"""

from configs import common, simple_ae


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=simple_ae, kl=False)
    config.train.epochs = 100
    if arguments.kl:
        config.model.code_activation = "sigmoid"
        config.objective.update(name="sparse_kl", target=0.1)
        config.weights.sparsity = 100.0
        config.expected = dict(mean_absolute_code=dict(value=0.1, judged=False, source="the target of the penalty"))
        config.expected.bce_nats_per_pixel = dict(row="simple_ae", judged=False, source="simple_ae, beside")
    else:
        config.objective.name = "sparse"
        config.weights.sparsity = 1e-4 * 784
        source = "Keras blog: 0.10 with another optimizer"
        config.expected.bce_nats_per_pixel = dict(value=0.1, judged=False, source=source)
    config.regression = dict(bce_nats_per_pixel=dict(value=0.1082 if arguments.kl else 0.09175))
    return common.finish(config, arguments)


def rows():
    return {"sparse_ae": "mnist", "sparse_ae_kl": "mnist,kl"}
