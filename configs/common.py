"""What every config starts from: the fixed keys with their defaults, the data sets by name, and `smoke`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core.errors import UserError
from ae_jax.data import sources
from ae_jax.experiments.configuration import parse_arguments

# Each data set, and how many training examples are held out of it for validation. `smoke` has the first, at hand.
DATASETS = {"digits": 200, "mnist": 5000, "fashion_mnist": 5000}
# The keys of data.source=codes, the latents of the run in data.path, with their defaults.
CODES = {"draw": "", "standardise": False, "layer": "", "seed": 0, "digest": ""}
# The data sets that numbers are expected of, where a config says nothing else.
_EXPECTED_ON = ("mnist", "melodies_2bar", "melodies_16bar")


def start(
    arg: str, data: str = "digits", parent: Any = None, datasets: Mapping[str, int] = DATASETS, **words: Any
) -> tuple[ConfigDict, Any]:
    """(config with every fixed key, or that of the `parent` module, arguments).

    arg: words joined by commas: one of the `datasets` (default `data`), `smoke`, and the `words` of the config's own
        with their defaults (`k=1`: a number; `short=False`: a flag).
    """
    arguments = parse_arguments(arg, {**dict.fromkeys(datasets, False), "smoke": False, **words})
    chosen = [name for name in datasets if arguments[name]] or [data]
    if len(chosen) > 1:
        raise UserError(f"config arguments {arg!r} are {len(chosen)} data sets\nexpected one of: {', '.join(datasets)}")
    arguments.data = next(iter(datasets)) if arguments.smoke else chosen[0]
    if parent:
        return parent.get_config(arguments.data), arguments
    config = dict(
        seed=0,
        data={
            **dict(name=arguments.data, dir="", path="", split="", validation=datasets[arguments.data]),
            **dict(size=None, binarize="none", transpose=0, cache="", train_on_test=False, labelled=None, stream=None),
            **sources.named(arguments.data),
        },
        corruption=dict(name="none"),
        model=dict(name="ae", encoder="mlp", decoder="mlp", likelihood="bernoulli", latent_dim=2),
        objective=dict(name="elbo", num_samples=1, free_bits=None, capacity=None),
        weights=dict(reconstruction=1.0, kl=1.0),
        optimizer=dict(name="adam", learning_rate=1e-3, clip=None),
        train=dict(
            steps=None,
            epochs=None,
            batch_size=128,
            accumulate=None,
            log_every=100,
            eval_every=1000,
            checkpoint_every=1000,
            keep=2,
            ema=0.0,
            precision=None,  # float32
            max_bad_steps=10,
            init_from="",
        ),
        eval=dict(metrics=("elbo", "collapse"), criterion="elbo"),
        mesh=dict(data=-1, fsdp=1),
        expected={},
    )
    # Not type-safe: a number may become a schedule. `ae_jax.experiments.configuration` checks types instead.
    return ConfigDict(config, type_safe=False), arguments


def finish(config: ConfigDict, arguments: Any, expected_on: Sequence[str] = _EXPECTED_ON) -> ConfigDict:
    """The config, shrunk to two steps of a tiny model on the data set at hand where `smoke` was asked for.

    expected_on: the data sets of which its expected values are; on others there are none.
    """
    if arguments.smoke or arguments.data not in expected_on:
        config.expected = {}
    if arguments.smoke:
        for key, width in (("hidden", 8), ("channels", 4)):
            for name in config.model:
                if name.endswith(key):
                    config.model[name] = tuple(min(size, width) for size in config.model[name])
        config.train.update(steps=2, epochs=None, batch_size=8, log_every=1, eval_every=2, checkpoint_every=1)
    return config
