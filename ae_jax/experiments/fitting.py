"""Train an autoencoder on arrays, without a config file or a run directory of one's own."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, runner
from ae_jax.experiments.autoencoder import Autoencoder, make_home


def fit(
    x: Any,
    y: Any = None,
    *,
    x_test: Any = None,
    y_test: Any = None,
    model: str = "vae",
    steps: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    encoder: Any = None,
    decoder: Any = None,
    settings: Mapping[str, Any] | None = None,
    verbose: bool = False,
    **model_keys: Any,
) -> Autoencoder:
    """Train an autoencoder on arrays.

    Args:
      x: training examples: images [N, H, W] or [N, H, W, C], or vectors [N, T]. Values of uint8 are pixels, and floats
        are real numbers, which the likelihood must support.
      y: labels, classes [N] or vectors [N, L], for conditional models, probes and figures.
      x_test: test examples. Without them a tenth of x is held out, on which `evaluate` reports.
      y_test: labels of the test examples.
      model: name of one of the package's configs, for example "vae", "conv_vae" or "beta_vae"; or the path of a config
        file.
      steps: length of the training in steps; by default that of the config.
      epochs: length of the training in epochs, in place of steps.
      seed: the random seed. The same seed gives the same parameters.
      encoder: a Linen class of your own in place of the config's encoder, defined in an importable module or in the
        running script or notebook.
      decoder: a Linen class of your own in place of the config's decoder.
      settings: {dotted config key: value}, for example {"weights.kl": 4.0, "optimizer.learning_rate": 1e-4}.
      verbose: whether to print the progress.
      **model_keys: keys of the config's section `model`, for example latent_dim=2 or hidden=(256, 64).

    Returns:
      The trained autoencoder.

    Raises:
      UserError: a key is unknown, or the examples do not fit the model.
      RunFailed: training ended early, for example because its numbers were not finite.
    """
    if steps is not None and epochs is not None:
        raise UserError("both steps and epochs are given\nuse one of them")
    config = configuration.load(model)
    home = make_home()
    arrays = _named_arrays(x, y, x_test, y_test)
    # The arrays take the way of a user's file, so that the same checks and the same scaling apply to them.
    np.savez(home.data, **arrays)
    given = {"seed": seed, "data.source": "files", "data.path": str(home.data)}
    given |= {"train.steps": steps, "train.epochs": epochs}
    given |= {f"model.{name}": value for name, value in model_keys.items()}
    given |= {"model.encoder": _spelled(encoder), "model.decoder": _spelled(decoder)}
    _prepare(
        config,
        arrays["x"].dtype,
        {key: value for key, value in given.items() if value is not None} | dict(settings or {}),
    )
    trust = [part.__module__ for part in (encoder, decoder) if part is not None]
    # The progress is printed by several parts of the training, none of which should ask who called it.
    with contextlib.nullcontext() if verbose else contextlib.redirect_stdout(io.StringIO()):
        runner.train_run(config, str(home.run))
    return Autoencoder(analysis.load(str(home.run), trust=trust), home)


def _named_arrays(x: Any, y: Any, x_test: Any, y_test: Any) -> dict[str, Any]:
    """Return the arrays under the names by which the data source `files` reads them."""
    given = {"x": x, "label": y, "x_test": x_test, "label_test": y_test}
    return {name: np.asarray(values) for name, values in given.items() if values is not None}


def _prepare(config: Any, dtype: np.dtype, settings: Mapping[str, Any]) -> None:
    """Set keys of a config in place, and clear what holds for the config's own data alone."""
    with config.unlocked():
        config.expected, config.regression = {}, {}
        config.data.update(dir="", validation=0)
        # The caller evaluates when the training is over.
        config.train.eval_every = 0
        if not np.issubdtype(dtype, np.integer):
            config.eval.metrics = tuple(name for name in config.eval.metrics if name != "bce") or ("mse",)
    texts = [(key, value if isinstance(value, str) else repr(value)) for key, value in settings.items()]
    configuration.override_all(config, texts)


def _spelled(part: Any) -> str | None:
    """Return the name "module:Class" by which a config refers to a class; None without a class.

    Raises:
      UserError: the class stands inside a function, where it cannot be found by its name.
    """
    if part is None:
        return None
    name = f"{part.__module__}:{part.__qualname__}"
    if not lookup.OWN.fullmatch(name):
        raise UserError(f"{name} stands inside a function\ndefine the class at the top level of a module or notebook")
    return name
