"""Start and finish every config: the common keys, the data sets by name, and `smoke`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core.errors import UserError
from ae_jax.data import sources
from ae_jax.experiments import sections
from ae_jax.experiments.configuration import parse_arguments

# {data set: number of training examples that are held out for validation}. `smoke` uses the first, which needs no
# download.
DATASETS = {"digits": 200, "mnist": 5000, "fashion_mnist": 5000}
# The keys of data.source=codes, the latents of the run in data.path, with their defaults.
CODES = {"draw": "", "standardise": False, "layer": "", "seed": 0, "digest": ""}
# The data sets on which a config's expected values hold, unless the config says otherwise.
_EXPECTED_ON = ("mnist", "melodies_2bar", "melodies_16bar")
# {end of a key of section model: the largest size that `smoke` allows}.
_SMOKE_SIZES = {"hidden": 8, "channels": 4}


def start(
    arg: str, data: str = "digits", parent: Any = None, datasets: Mapping[str, int] = DATASETS, **words: Any
) -> tuple[ConfigDict, Any]:
    """Return (config, arguments): a config with the common keys, which the caller changes.

    Args:
      arg: words joined by commas: one of the data sets, `smoke`, and the config's own `words`.
      data: the data set if `arg` names none.
      parent: module of another config, whose config is returned instead of the defaults.
      datasets: {data set: number of training examples that are held out for validation}.
      **words: the config's own words with their defaults: k=1 takes a number, short=False is a flag.

    Raises:
      UserError: a word is unknown or has the wrong form, or several data sets are named.
    """
    arguments = parse_arguments(arg, {**dict.fromkeys(datasets, False), "smoke": False, **words})
    chosen = [name for name in datasets if arguments[name]] or [data]
    if len(chosen) > 1:
        raise UserError(f"config arguments {arg!r} are {len(chosen)} data sets\nexpected one of: {', '.join(datasets)}")
    arguments.data = next(iter(datasets)) if arguments.smoke else chosen[0]
    if parent:
        return parent.get_config(arguments.data), arguments
    # Not type-safe, because a number may become a schedule. `ae_jax.experiments.checks` checks types instead.
    config = ConfigDict(sections.defaults(), type_safe=False)
    config.data.update(name=arguments.data, validation=datasets[arguments.data], **sources.named(arguments.data))
    return config, arguments


def finish(config: ConfigDict, arguments: Any, expected_on: Sequence[str] = _EXPECTED_ON) -> ConfigDict:
    """Remove expected values that do not apply; for `smoke`, shrink the model and the training.

    Args:
      config: the config, which is changed and returned.
      arguments: the arguments that `start` returned.
      expected_on: the data sets on which the config's expected values hold.
    """
    if arguments.smoke or arguments.data not in expected_on:
        config.expected, config.regression = {}, {}
    if arguments.smoke:
        _shrink(config.model)
        config.train.update(steps=2, epochs=None, batch_size=8, log_every=1, eval_every=2, checkpoint_every=1)
    return config


def _shrink(model: ConfigDict) -> None:
    """Limit the sizes of a model for `smoke`."""
    for key in model:
        for end, largest in _SMOKE_SIZES.items():
            if key.endswith(end):
                model[key] = tuple(min(size, largest) for size in model[key])
