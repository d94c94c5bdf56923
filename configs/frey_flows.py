"""Frey faces in bits per dimension, with three posteriors.

The posteriors are a diagonal normal, planar flows and inverse autoregressive flows.

Van den Berg et al. 2018, "Sylvester normalizing flows", arXiv:1803.05649, have a VAE (4.53), planar flows (4.40) and
IAF (4.47) there, with convolutions and 256 classes a pixel. Here the networks are the gated layers of `vamp`, and the
likelihood is a discretised logistic distribution, so those numbers stand beside and judge nothing.

    python scripts/reproduce.py frey_flows
    python scripts/train.py --config=configs/frey_flows.py:freyfaces,posterior=planar --workdir=runs/frey
"""

from ae_jax.core import errors
from configs import common, vae

DATASETS = {"digits": 200, "freyfaces": 200}
_PUBLISHED = {"normal": 4.53, "planar": 4.40, "iaf": 4.47}
_PARTS = {
    "normal": dict(posterior="diagonal_normal"),
    "planar": dict(posterior="planar", flows=4),
    "iaf": dict(posterior="iaf", flows=4, flow_hidden=320),
}


def get_config(arg=""):
    config, arguments = common.start(arg, data="freyfaces", datasets=DATASETS, parent=vae, posterior="normal")
    if arguments.posterior not in _PARTS:
        raise errors.unknown("posterior", arguments.posterior, _PARTS)
    config.model.update(encoder="gated_mlp", decoder="gated_mlp", hidden=(300, 300), latent_dim=40)
    config.model.update(kernel_init="he_normal", likelihood="discretized_logistic_mixture", mixtures=1)
    config.model.update(**_PARTS[arguments.posterior])
    config.weights.kl = "linear:0:1:1600"  # 100 epochs
    config.optimizer.update(learning_rate=5e-4, clip=100.0)
    config.data.validation = 200
    config.train.update(steps=8000, epochs=None, batch_size=100, log_every=160, eval_every=160, checkpoint_every=160)
    config.eval.update(metrics=("bits_per_dimension",), criterion="elbo_bits_per_dim")
    published = dict(value=_PUBLISHED[arguments.posterior], judged=False)
    source = "van den Berg et al. 2018, other networks and likelihood; unconfirmed"
    config.expected = dict(elbo_bits_per_dim=dict(**published, source=source))
    return common.finish(config, arguments, expected_on=("freyfaces",))


def rows():
    return {f"frey_{name}": f"freyfaces,posterior={name}" for name in _PARTS}


def tables():
    """Return the table of the ELBO in bits per dimension, by posterior."""
    line = {name: f"frey_{name}" for name in _PARTS}
    return {"frey_flows": dict(metrics=("elbo_bits_per_dim",), lines={"Frey faces": line})}
