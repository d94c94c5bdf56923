"""Importance-weighted autoencoder and the matching VAE on binarised MNIST.

Burda et al. 2016, "Importance weighted autoencoders", arXiv:1509.00519, table 1: -log p(x) of the test set in nats per
image, estimated with 5,000 samples after 3,280 epochs (`:short`: 121). The last checkpoint counts.
The seed of the evaluation binarises the test set once. `objective=elbo` is the VAE; miwae, piwae and ciwae are those of
Rainforth et al. 2018, arXiv:1802.04537. The full schedule takes 27 times as long as `:short`, whose results stand
beside the paper's and are judged by the order of the columns alone. `mnist_static` has 50,000 training images of fixed
bits.

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
# The numbers of the appendix, for images that are binarised once.
_STATIC = {("elbo", 1, 1): (88.71, None), ("elbo", 5, 1): (88.83, None), ("iwae", 50, 1): (87.10, None)}
_PUBLISHED = {"mnist": {**_TABLE, **_RAINFORTH}, "mnist_static": _STATIC}
DATASETS = {**common.DATASETS, "mnist_static": 10000}
_OPTIONS = {"miwae": dict(groups=8), "piwae": dict(groups=8), "ciwae": dict(beta=0.05)}
_TERMS = {
    "elbo": ("reconstruction", "kl"),
    "piwae": ("encoder_bound", "decoder_bound"),
    "dreg": ("encoder_bound", "decoder_bound"),
}
_BATCH = 20


def get_config(arg=""):
    words = dict(objective="iwae", k=50, layers=1, short=False)
    config, arguments = common.start(arg, data="mnist", datasets=DATASETS, parent=vae, **words)
    if arguments.layers not in (1, 2):
        raise UserError(f"config argument layers={arguments.layers}\nexpected 1 or 2")
    config.model.update(hidden=(200, 200), latent_dim=50, activation="tanh", kernel_init="glorot_uniform", centred=True)
    if arguments.layers == 2:
        config.model.update(name="hierarchical", latent_dim=100, upper_dims=(50,), upper_hidden=(100, 100))
    # As in the paper, there is no validation split, and images that are not binary are binarised at each presentation.
    is_static = arguments.data == "mnist_static"
    config.data.update(validation=0, binarize="none" if is_static else "dynamic")
    steps_per_epoch = (50_000 if is_static else 60_000) // _BATCH
    objective = arguments.objective
    config.objective.update(name=objective, num_samples=arguments.k, **_OPTIONS.get(objective, {}))
    config.weights = dict.fromkeys(_TERMS.get(objective, ("bound",)), 1.0)
    stages = 5 if arguments.short else 8
    config.optimizer.update(learning_rate=_learning_rate(stages, steps_per_epoch), eps=1e-4)
    config.train.update(steps=None, epochs=(3**stages - 1) // 2, batch_size=_BATCH)
    config.train.update(log_every=steps_per_epoch, checkpoint_every=3 * steps_per_epoch, eval_every=0)
    if arguments.data == "digits":
        config.train.update(epochs=20, log_every=100, checkpoint_every=1000)
    config.eval.update(metrics=("nll", "active_units"), criterion="nll")
    config.expected = _expected(arguments)
    config = common.finish(config, arguments, expected_on=tuple(_PUBLISHED))
    config.train.eval_every = 0  # estimating -log p(x) is slow
    return config


def _learning_rate(stages, steps_per_epoch):
    """Return the schedule 1e-3 * 10^(-i/7) for 3^i epochs, i = 0, 1, ..., `stages` - 1."""
    ends = [steps_per_epoch * (3**i - 1) // 2 for i in range(1, stages)]
    scales = {end: round(10 ** (-1 / 7), 9) for end in ends}
    return f"optax.piecewise_constant_schedule(init_value=0.001, boundaries_and_scales={scales})"


def _expected(arguments):
    """Return the expected values of a column of a published table, {} for any other setting."""
    column = (arguments.objective, arguments.k, arguments.layers)
    published = _PUBLISHED.get(arguments.data, {})
    if column not in published:
        return {}
    value, units = published[column]
    source = _source(arguments.data, column)
    nll = dict(value=value, source=source)
    if arguments.short:
        source = f"{source}, with the full schedule"
        nll = _by_order(arguments.data, column, source)
    expected = dict(nll=nll)
    if units:
        expected["active_units"] = dict(value=units, judged=False, source=source)
    return expected


def _source(data, column):
    if column in _RAINFORTH:
        return "Rainforth et al. 2018, table 1"
    return "Burda et al. 2016, " + ("table 1" if data == "mnist" else "appendix, fixed binarisation")


def _by_order(data, column, source):
    """Return the bound of a shortened training: the column that is next above it in the paper."""
    value = _PUBLISHED[data][column][0]
    above = {one: nats for one, (nats, _) in _PUBLISHED[data].items() if nats > value and one[2] == 1}
    above = {one: nats for one, nats in above.items() if one not in _RAINFORTH}
    if not above or column[2] == 2:
        return dict(value=value, judged=False, source=source)
    other = min(above, key=above.get)
    return dict(row=_name(data, *other) + "_short", paper=value, source=f"order of the columns; {value}: {source}")


def _name(data, objective, k, layers):
    """Return the name of the row of a column of the table."""
    table = "iwae_static" if data == "mnist_static" else "iwae"
    model = "vae" if objective == "elbo" else objective
    suffix = "_2layers" if layers == 2 else ""
    return f"{table}_{model}_k{k}{suffix}"


def rows():
    found = {}
    for data, published in _PUBLISHED.items():
        for column in published:
            objective, k, layers = column
            name = _name(data, *column)
            found[name] = f"{data},objective={objective},k={k},layers={layers}"
            if layers == 1 and column not in _RAINFORTH:
                found[f"{name}_short"] = f"{found[name]},short"
    return found


def tables():
    """Return the paper's tables, and their first lines with the short schedule."""
    # With one sample, VAE and IWAE are the same, and share a row.
    columns = {f"VAE k={k}": ("elbo", k) for k in (1, 5, 50)}
    columns |= {f"IWAE k={k}": ("elbo" if k == 1 else "iwae", k) for k in (1, 5, 50)}
    of_static = {"VAE k=1": ("elbo", 1), "VAE k=5": ("elbo", 5), "IWAE k=50": ("iwae", 50)}

    def line(layers, suffix="", data="mnist", columns=columns):
        return {column: _name(data, objective, k, layers) + suffix for column, (objective, k) in columns.items()}

    full = {"1 stochastic layer": line(1), "2 stochastic layers": line(2)}
    short = {"1 stochastic layer": line(1, "_short")}
    static = {
        "full schedule": line(1, data="mnist_static", columns=of_static),
        "short schedule": line(1, "_short", "mnist_static", of_static),
    }
    both = ("nll", "active_units")
    return {
        "iwae_table1": dict(metrics=both, lines=full),
        "iwae_table1_short": dict(metrics=both, lines=short),
        "iwae_static": dict(metrics=("nll",), lines=static),
    }
