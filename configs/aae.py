"""Adversarial autoencoder with a 2-D code whose distribution a critic shapes to N(0, I), or to ten modes on a circle.

Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644. Expected: an unbiased squared MMD between codes and
prior of at most 5 % of that of the plain autoencoder with the same network (`:plain`).

    python scripts/reproduce.py aae
    python scripts/train.py --config=configs/aae.py:mnist,circle,labelled --workdir=runs/circle
    python scripts/plot.py --workdir=runs/circle --figures=code_and_prior,samples,manifold
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae, circle=False, labelled=False, plain=False)
    config.model.update(hidden=(512, 512), latent_dim=2)
    config.data.validation = 0
    config.eval.metrics = ("bce", "mse", "mmd_to_prior", "probe")
    if arguments.data != "digits":
        config.train.eval_every = 0  # the probe takes its time
    config.train.update(steps=None, epochs=30 if arguments.data != "digits" else 300)
    if not arguments.plain:
        prior = "circle" if arguments.circle else "standard_normal"
        config.model.update(name="aae", prior=prior, critic_hidden=(512, 512), labelled=arguments.labelled)
        config.objective.name = "adversarial"
        config.weights.update(generator=10.0, critic=1.0)
        config.optimizer.update(learning_rate="cosine:1e-3:0:14070", b1=0.5)  # 30 epochs of MNIST
        config.optimizer.players = dict(critic={})
    if arguments.labelled and arguments.data != "digits":
        config.data.labelled = 10000
    if not arguments.plain and not arguments.circle:
        config.expected.mmd2_to_prior = dict(row="aae_plain", times=0.05, tolerance=0.0, source="5 % of aae_plain's")
    else:
        config.expected.probe_knn_code_accuracy = dict(metric="probe_knn_pca_accuracy", source="PCA's codes")
    return common.finish(config, arguments)


def rows():
    return {"aae_plain": "mnist,plain", "aae_gaussian": "mnist", "aae_circle": "mnist,circle,labelled"}
