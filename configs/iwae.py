"""Importance-weighted autoencoder and the matching VAE on dynamically binarised MNIST.

Burda et al. 2016, "Importance weighted autoencoders", arXiv:1509.00519, table 1: -log p(x) of the test set in nats per
image, estimated with 5,000 samples after 3,280 epochs (`:short`: 121). The last checkpoint counts.
The seed of the evaluation binarises the test set once. `objective=elbo` is the VAE; miwae, piwae and ciwae are those of
Rainforth et al. 2018, arXiv:1802.04537. docs/results.md has the time that `:short` takes. The full schedule takes 27
times as long, and has not been run yet.

    python scripts/reproduce.py iwae_table1_short           (--stored: prints what was obtained so far)
    python scripts/train.py --config=configs/iwae.py:mnist,objective=dreg,k=8,short --workdir=runs/dreg
    python scripts/evaluate.py --workdir=runs/dreg --metrics=nll,ais,active_units --seed=1
"""

from ae_jax.core.errors import UserError
from configs import common, vae

# {(objective, samples, stochastic layers): (nats, active units of all layers)}
_TABLE = {
    ("elbo", 1, 1): (86.76, 19),
    ("elbo", 5, 1): (86.47, 20),
    ("elbo", 50, 1): (86.35, 20),
    ("iwae", 5, 1): (85.54, 22),
    ("iwae", 50, 1): (84.78, 25),
    ("elbo", 1, 2): (85.33, 21),
    ("elbo", 5, 2): (85.01, 22),
    ("elbo", 50, 2): (84.78, 22),
    ("iwae", 5, 2): (83.89, 26),
    ("iwae", 50, 2): (82.90, 33),
}
_RAINFORTH = {("miwae", 64, 1): (84.97, None), ("piwae", 64, 1): (84.46, None), ("ciwae", 64, 1): (84.57, None)}
# {column: nats} that `:short` obtained here, once. The paper has no numbers for so short a training.
_SHORT = {
    ("elbo", 1, 1): 89.74,
    ("elbo", 5, 1): 89.13,
    ("elbo", 50, 1): 88.97,
    ("iwae", 5, 1): 88.73,
    ("iwae", 50, 1): 87.92,
}
_OPTIONS = {"miwae": dict(groups=8), "piwae": dict(groups=8), "ciwae": dict(beta=0.05)}
_TERMS = {
    "elbo": ("reconstruction", "kl"),
    "piwae": ("encoder_bound", "decoder_bound"),
    "dreg": ("encoder_bound", "decoder_bound"),
}
_STEPS_PER_EPOCH = 3000  # 60,000 images, 20 at a time


def get_config(arg=""):
    words = dict(objective="iwae", k=50, layers=1, short=False)
    config, arguments = common.start(arg, data="mnist", parent=vae, **words)
    if arguments.layers not in (1, 2):
        raise UserError(f"config argument layers={arguments.layers}\nexpected 1 or 2")
    config.model.update(hidden=(200, 200), latent_dim=50, activation="tanh", kernel_init="glorot_uniform", centred=True)
    if arguments.layers == 2:
        config.model.update(name="hierarchical", latent_dim=100, upper_dims=(50,), upper_hidden=(100, 100))
    # As in the paper, all 60,000 training images are used, and binarised anew at each presentation.
    config.data.update(validation=0, binarize="dynamic")
    objective = arguments.objective
    config.objective.update(name=objective, num_samples=arguments.k, **_OPTIONS.get(objective, {}))
    config.weights = dict.fromkeys(_TERMS.get(objective, ("bound",)), 1.0)
    stages = 5 if arguments.short else 8
    config.optimizer.update(learning_rate=_learning_rate(stages), eps=1e-4)
    config.train.update(steps=None, epochs=(3**stages - 1) // 2, batch_size=20)
    config.train.update(log_every=_STEPS_PER_EPOCH, checkpoint_every=3 * _STEPS_PER_EPOCH, eval_every=0)
    if arguments.data == "digits":
        config.train.update(epochs=20, log_every=100, checkpoint_every=1000)
    config.eval.update(metrics=("nll", "active_units"), criterion="nll")
    config.expected = _expected(arguments)
    config = common.finish(config, arguments)
    config.train.eval_every = 0  # estimating -log p(x) is slow
    return config


def _learning_rate(stages):
    """Return the schedule 1e-3 * 10^(-i/7) for 3^i epochs, i = 0, 1, ..., `stages` - 1."""
    ends = [_STEPS_PER_EPOCH * (3**i - 1) // 2 for i in range(1, stages)]
    scales = {end: round(10 ** (-1 / 7), 9) for end in ends}
    return f"optax.piecewise_constant_schedule(init_value=0.001, boundaries_and_scales={scales})"


def _expected(arguments):
    """Return the expected values of a column of a published table, {} for any other setting."""
    column = (arguments.objective, arguments.k, arguments.layers)
    if column not in {**_TABLE, **_RAINFORTH} or arguments.data != "mnist":
        return {}
    value, units = {**_TABLE, **_RAINFORTH}[column]
    source = "Burda et al. 2016, table 1" if column in _TABLE else "Rainforth et al. 2018, table 1"
    nll = dict(value=value, tolerance=0.3, suspicious=1.0, source=source)
    if arguments.short:
        source = f"{source}, with the full schedule"
        nll = dict(value=value, judged=False, source=source)
        if column in _SHORT:
            nll = dict(value=_SHORT[column], paper=value, tolerance=0.3, source=f"obtained once; {value}: {source}")
    expected = dict(nll=nll)
    if units:
        expected["active_units"] = dict(value=units, judged=False, source=source)
    return expected


def _name(objective, k, layers):
    """Return the name of the row of a column of the table."""
    model = "vae" if objective == "elbo" else objective
    suffix = "_2layers" if layers == 2 else ""
    return f"iwae_{model}_k{k}{suffix}"


def rows():
    found = {}
    for objective, k, layers in (*_TABLE, *_RAINFORTH):
        name = _name(objective, k, layers)
        found[name] = f"mnist,objective={objective},k={k},layers={layers}"
        if layers == 1 and (objective, k, layers) in _TABLE:
            found[f"{name}_short"] = f"{found[name]},short"
    return found


def tables():
    """Return the paper's table, and its first line with the short schedule."""
    # With one sample, VAE and IWAE are the same, and share a row.
    columns = {f"VAE k={k}": ("elbo", k) for k in (1, 5, 50)}
    columns |= {f"IWAE k={k}": ("elbo" if k == 1 else "iwae", k) for k in (1, 5, 50)}

    def line(layers, suffix=""):
        return {column: _name(objective, k, layers) + suffix for column, (objective, k) in columns.items()}

    full = {"1 stochastic layer": line(1), "2 stochastic layers": line(2)}
    short = {"1 stochastic layer": line(1, "_short")}
    metrics = ("nll", "active_units")
    return {
        "iwae_table1": dict(metrics=metrics, lines=full),
        "iwae_table1_short": dict(metrics=metrics, lines=short),
    }
