"""Adversarial autoencoder: a critic shapes the distribution of a 2-D latent.

Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644. The prior is N(0, I), or with `:circle` a mixture of
ten modes on a circle. `:plain` is the autoencoder with the same network and without a critic.

Expected: the unbiased squared MMD between latents and prior is smaller than the plain autoencoder's. On the circle,
10,000 labels assign a mode to each class; more test latents must lie in the mode of their class than logistic
regression on the plain latents classifies correctly. With a generator weight of 10 instead of 100, the squared MMD
stayed at 13 % of the plain autoencoder's.

    python scripts/reproduce.py aae
    python scripts/train.py --config=configs/aae.py:mnist,circle,labelled --workdir=runs/circle
    python scripts/plot.py --workdir=runs/circle --figures=code_and_prior,samples,manifold
"""

from configs import ae, common

_PLAIN, _PRIOR = "logistic regression on aae_plain's codes", "prior against prior, beside"


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae, circle=False, labelled=False, plain=False)
    config.model.update(hidden=(512, 512), latent_dim=2)
    config.data.validation = 0
    config.eval.metrics = ("bce", "mse", "mmd_to_prior", "probe")
    if arguments.data != "digits":
        config.train.eval_every = 0  # the probe is slow
    config.train.update(steps=None, epochs=30 if arguments.data != "digits" else 300)
    if not arguments.plain:
        prior = "circle" if arguments.circle else "standard_normal"
        config.model.update(name="aae", prior=prior, critic_hidden=(512, 512), labelled=arguments.labelled)
        config.objective.name = "adversarial"
        config.weights.update(generator=100.0, critic=1.0)
        config.optimizer.update(learning_rate="cosine:1e-3:0:14070", b1=0.5)  # 30 epochs of MNIST
        # The critic plays against the encoder, with an optimiser of its own and the same settings.
        config.optimizer.players = dict(critic={})
    if arguments.labelled and arguments.data != "digits":
        config.data.labelled = 10000
    if arguments.plain:
        config.expected.probe_knn_code_accuracy = dict(metric="probe_knn_pca_accuracy", source="PCA's codes")
    elif arguments.circle and arguments.labelled:
        config.eval.metrics += ("own_mode",)
        config.expected.own_mode_share = dict(row="aae_plain", metric="probe_logistic_code_accuracy", source=_PLAIN)
        config.expected.mmd2_to_prior = dict(metric="mmd2_prior_to_prior", judged=False, source=_PRIOR)
    elif not arguments.circle:
        config.expected.mmd2_to_prior = dict(row="aae_plain", source="aae_plain's")
        config.expected.mmd2_prior_to_prior = dict(value=0.0, judged=False, source=_PRIOR)
    if not arguments.plain:
        config.expected.bce_nats_per_pixel = dict(row="aae_plain", judged=False, source="aae_plain, beside")
    return common.finish(config, arguments)


def rows():
    return {"aae_plain": "mnist,plain", "aae_gaussian": "mnist", "aae_circle": "mnist,circle,labelled"}
