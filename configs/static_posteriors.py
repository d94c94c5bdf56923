"""VAE on static MNIST with a mean-field posterior or inverse autoregressive flows.

Altosaar, github.com/jaanli/variational-autoencoder (PyTorch): 784-256-256-128, RMSprop 1e-3, batches of 128, 65,000
steps. Its README states a test log p(x) of -97.10 (mean field) and -95.33 (flow). Three differences: there log p(x) is
estimated by 1,000 samples at the best of the validated steps, here by 5,000 at the last step; there scales are a
softplus, here an exponential; there the networks of a flow have two hidden layers, here one.

    python scripts/reproduce.py static_posteriors
    python scripts/train.py --config=configs/static_posteriors.py:mnist_static,posterior=iaf --workdir=runs/iaf
"""

from ae_jax.core import errors
from configs import common, vae

DATASETS = {"digits": 200, "mnist_static": 10000}
_PUBLISHED = {"mean_field": 97.10, "iaf": 95.33}
_PARTS = {"mean_field": dict(posterior="diagonal_normal"), "iaf": dict(posterior="iaf", flows=2, flow_hidden=256)}


def get_config(arg=""):
    config, arguments = common.start(
        arg, data="mnist_static", datasets=DATASETS, parent=vae, posterior="mean_field", steps=65000
    )
    if arguments.posterior not in _PARTS:
        raise errors.unknown("posterior", arguments.posterior, _PARTS)
    config.model.update(hidden=(256, 256), latent_dim=128, **_PARTS[arguments.posterior])
    config.optimizer.update(name="rmsprop", learning_rate=1e-3, decay=0.99, centered=True)
    # The static set is binary already.
    config.data.update(validation=0, binarize="dynamic" if arguments.data == "digits" else "none")
    config.train.update(steps=arguments.steps if arguments.data != "digits" else 3000, epochs=None)
    config.train.update(log_every=1000, checkpoint_every=1000, eval_every=0)
    config.eval.update(metrics=("nll", "elbo"), criterion="nll")
    config.expected = dict(nll=dict(value=_PUBLISHED[arguments.posterior], source="Altosaar, README"))
    return common.finish(config, arguments, expected_on=("mnist_static",))


def rows():
    return {f"static_{name}": f"mnist_static,posterior={name}" for name in _PARTS}


def tables():
    """Return the table of -log p(x) in nats, by posterior."""
    lines = {"static MNIST, 65,000 steps": {name: f"static_{name}" for name in _PARTS}}
    return {"static_posteriors": dict(metrics=("nll",), lines=lines)}
