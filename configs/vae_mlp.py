"""VAE 784-500-20-500-784, the network of the original paper, on grey or binary images.

Kingma and Welling 2014, arXiv:1312.6114, section 5. Grey levels under a Bernoulli have no exact likelihood, so the ELBO
is a surrogate. On `mnist_static` this is Flax's VAE example: Adam 1e-3, batches of 128, 50,000 training images, and the
test ELBO after the last epoch. Its README says that the test loss after 10 epochs should be around 104.

    python scripts/reproduce.py vae_mlp flax_vae
    python scripts/train.py --config=configs/vae_mlp.py:mnist_static,epochs=30 --workdir=runs/static
    python scripts/evaluate.py --workdir=runs/static --metrics=elbo,nll
"""

from configs import common, vae

DATASETS = {**common.DATASETS, "mnist_static": vae.DATASETS["mnist_static"]}
# These have no page on which they could be confirmed.
_UNCONFIRMED = dict(judged=False, source="Flax, examples/vae, unconfirmed")


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", datasets=DATASETS, parent=vae, epochs=10)
    config.model.update(hidden=(500,), latent_dim=20)
    config.data.validation = 0
    if arguments.data != "digits":
        config.train.update(steps=None, epochs=arguments.epochs)
    config.expected = _expected(arguments)
    if arguments.data == "mnist":
        config.regression = dict(elbo=dict(value=-105.49))
    return common.finish(config, arguments, expected_on=("mnist", "mnist_static"))


def _expected(arguments):
    """Return what Flax's example obtains after 10 and 30 epochs."""
    if arguments.data == "mnist_static" and arguments.epochs == 10:
        return dict(elbo=dict(value=-104, source="Flax, examples/vae/README.md: around 104"))
    if arguments.data == "mnist_static" and arguments.epochs == 30:
        terms = dict(elbo=-100.86, reconstruction=73.14, kl=27.72)
        return {metric: dict(value=value, **_UNCONFIRMED) for metric, value in terms.items()}
    return {}


def rows():
    static = {f"flax_vae_{epochs}_epochs": f"mnist_static,epochs={epochs}" for epochs in (10, 30)}
    return {"vae_mlp": "mnist", **static}


def tables():
    """Return the table of Flax's VAE example: the ELBO, with its two terms."""
    lines = {f"{epochs} epochs": {"784-500-20": f"flax_vae_{epochs}_epochs"} for epochs in (10, 30)}
    return {"flax_vae": dict(metrics=("elbo", "reconstruction", "kl"), lines=lines)}
