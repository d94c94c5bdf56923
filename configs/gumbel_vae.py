"""VAE with discrete latents: 200 binary choices, or 20 with 10 classes (`:categorical`).

Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax", arXiv:1611.01144, table 1: static MNIST,
networks 784-200-784 without hidden layers, SGD with momentum, a bound of the discrete model by 1,000 samples. Training
decodes relaxed samples, whose temperature falls. All that is reported is of the discrete model.

    python scripts/train.py --config=configs/gumbel_vae.py:mnist_static,categorical --workdir=runs/gumbel
    python scripts/evaluate.py --workdir=runs/gumbel --metrics=elbo,nll --nll_samples=1000
"""

from configs import common, vae

DATASETS = vae.DATASETS
_STEPS_PER_EPOCH = 391  # of 50,000 images, 128 at a time


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae, datasets=DATASETS, categorical=False)
    choices, classes = (20, 10) if arguments.categorical else (200, 2)
    if arguments.smoke:
        choices = 4
    config.model.update(posterior="gumbel_softmax", prior="uniform", latent_dim=choices, classes=classes, hidden=())
    config.model.temperature = "linear:1:0.5:30000"
    config.optimizer.update(name="sgd", momentum=0.9, learning_rate=1e-3, clip=None)
    config.eval.update(metrics=("elbo",), criterion="elbo")
    config.expected = {}
    if arguments.data == "mnist_static":
        config.data.validation = 0
        config.train.update(steps=None, epochs=150, eval_every=0, log_every=_STEPS_PER_EPOCH)
        config.eval.metrics = ("elbo", "nll")
        value = 101.5 if arguments.categorical else 105.0
        config.expected.nll = dict(value=value, source="Jang et al. 2017, table 1, Gumbel-softmax")
    elif arguments.data == "digits":
        config.optimizer.learning_rate = 3e-3
        config.data.binarize = "fixed"
    return common.finish(config, arguments, expected_on=("mnist_static",))


def rows():
    return {"gumbel_vae_bernoulli": "mnist_static", "gumbel_vae_categorical": "mnist_static,categorical"}
