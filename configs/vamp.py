"""VAE of the VampPrior paper on static MNIST, with a standard prior or a VampPrior.

Tomczak and Welling 2018, arXiv:1705.07120, table 1, VAE (L = 1): a test -log p(x) of 88.56 with the standard prior,
85.57 with 500 pseudo-inputs. Adam 5e-4, batches of 100; the KL weight rises over 100 epochs. The paper stops when 50
epochs brought no better validation ELBO; here the best of 300 epochs is taken. Its gradients are normalised, these are
not.

    python scripts/reproduce.py vamp_standard
    python scripts/train.py --config=configs/vamp.py:mnist_static,prior=vamp --workdir=runs/vamp
"""

from ae_jax.core import errors
from configs import common, vae

DATASETS = {"digits": 200, "mnist_static": 10000}
_PUBLISHED = {"standard": 88.56, "vamp": 85.57}
_PRIORS = {"standard": dict(prior="standard_normal"), "vamp": dict(prior="vamp", components=500)}
_STEPS_PER_EPOCH = 500  # 50,000 images, 100 at a time


def get_config(arg=""):
    words = dict(prior="standard", epochs=300)
    config, arguments = common.start(arg, data="mnist_static", datasets=DATASETS, parent=vae, **words)
    if arguments.prior not in _PRIORS:
        raise errors.unknown("prior", arguments.prior, _PRIORS)
    config.model.update(encoder="gated_mlp", decoder="gated_mlp", hidden=(300, 300), latent_dim=40)
    config.model.update(kernel_init="he_normal", **_PRIORS[arguments.prior])
    config.weights.kl = f"linear:0:1:{100 * _STEPS_PER_EPOCH}"
    config.optimizer.learning_rate = 5e-4
    config.data.validation = DATASETS[arguments.data]
    config.train.update(steps=None, epochs=arguments.epochs, batch_size=100)
    config.train.update(log_every=_STEPS_PER_EPOCH, eval_every=_STEPS_PER_EPOCH, checkpoint_every=2 * _STEPS_PER_EPOCH)
    config.eval.update(metrics=("elbo",), criterion="elbo")
    if arguments.data == "digits":
        config.train.update(epochs=50, eval_every=100, log_every=100, checkpoint_every=100)
    config.expected = dict(nll=dict(value=_PUBLISHED[arguments.prior], source="Tomczak and Welling 2018, table 1"))
    return common.finish(config, arguments, expected_on=("mnist_static",))


def rows():
    return {f"vamp_{name}": f"mnist_static,prior={name}" for name in _PRIORS}
