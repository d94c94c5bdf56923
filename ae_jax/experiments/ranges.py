"""Which values the keys of a config may have."""

from collections.abc import Mapping

from ml_collections import ConfigDict

from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration

_AT_LEAST = {
    "seed": 0,
    "train.steps": 1,
    "train.epochs": 1,
    "train.batch_size": 1,
    "train.accumulate": 1,
    "train.log_every": 1,
    "train.eval_every": 0,
    "train.checkpoint_every": 1,
    "train.keep": 1,
    "train.max_bad_steps": 1,
    "data.validation": 0,
    "data.labelled": 0,
    "data.transpose": 0,
    "data.size": 1,
    "objective.num_samples": 1,
    "model.latent_dim": 0,
    "model.bar": 1,
    "model.encoder_part": 0,
}
_SEED_AT_MOST = 2**32 - 1  # what numpy takes, too
# Sizes of a network, whichever part's they are: hidden, encoder_hidden, critic_hidden, ...
_SIZES = ("hidden", "channels", "kernel", "stride", "dims", "flows", "components", "modes", "mixtures", "groups")
_MAY_BE_ABSENT = (
    "train.steps",
    "train.epochs",
    "train.accumulate",
    "data.labelled",
    "data.transpose",
    "data.size",
    "objective.",
    "model.",
)


def _sizes(section: ConfigDict) -> list[str]:
    """The keys of sizes, but those that are words: of a part of the user's own."""
    return [key for key in configuration.keys(section) if key.endswith(_SIZES) and not isinstance(section[key], str)]


def check(config: ConfigDict) -> None:
    """Raises UserError for a value out of range, or unless there is exactly one of train.steps and train.epochs."""
    sizes = {f"model.{key}": int(not key.endswith("final_kernel")) for key in _sizes(config.model)}
    for key, least in {**sizes, **_AT_LEAST}.items():
        value = configuration.value_at(config, key)
        if value is None and key.startswith(_MAY_BE_ABSENT):
            continue
        for number in value if isinstance(value, tuple | list) else (value,):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise UserError(f"config key {key!r} is {value!r}\nexpected a whole number of at least {least}")
    if config.seed > _SEED_AT_MOST:
        raise UserError(f"config key 'seed' is {config.seed}\nexpected at most {_SEED_AT_MOST}")
    if config.train.batch_size % (pieces := config.train.get("accumulate") or 1):
        raise UserError(f"train.accumulate={pieces} of train.batch_size={config.train.batch_size}\nexpected a divisor")
    for name, one in config.expected.items():
        if not isinstance(one, Mapping | ConfigDict) or "source" not in one:
            plain = getattr(one, "to_dict", lambda one=one: one)()
            raise UserError(f"config key 'expected.{name}' is {plain!r}\nexpected dict(value=0.09, source='...')")
    target = config.objective.get("target")
    if isinstance(target, int | float) and not 0 < target < 1:
        raise UserError(f"config key 'objective.target' is {target!r}\nexpected a mean activation between 0 and 1")
    if isinstance(rate := config.optimizer.get("learning_rate"), int | float) and rate < 0:
        raise UserError(f"config key 'optimizer.learning_rate' is {rate!r}\nexpected at least 0, or a schedule")
    if not isinstance(config.train.ema, str) and not 0 <= config.train.ema < 1:
        raise UserError(f"config key 'train.ema' is {config.train.ema!r}\nexpected a decay from 0 (off) to below 1")
    if (config.train.steps is None) == (config.train.epochs is None):
        raise UserError("expected exactly one of train.steps and train.epochs; the other is None")
