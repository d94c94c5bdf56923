"""A scikit-learn transformer: autoencoders in a `Pipeline` and in `GridSearchCV`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ae_jax.experiments import fitting

# The number of rows in a device call. It is the same for all data, because the last bits of a matrix product depend on
# the number of its rows, and a row must not depend on the rows beside it.
_ROWS = 64


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Reduce the dimension of a table with an autoencoder.

    Columns should have similar scales: put `StandardScaler` before it.

    Args:
      model: name of one of the package's configs for vectors, for example "ae" or "vae", or the path of a config file.
      latent_dim: the number of latent dimensions.
      hidden: sizes of the hidden layers.
      likelihood: the likelihood of the columns; "gaussian" suits real numbers.
      steps: length of the training in steps.
      random_state: the random seed, an integer.
      settings: {dotted config key: value} of any other key.

    Attributes:
      autoencoder_: the trained `ae_jax.experiments.autoencoder.Autoencoder`.
      n_features_in_: the number of columns.
    """

    def __init__(
        self,
        model: str = "ae",
        latent_dim: int = 2,
        hidden: tuple[int, ...] = (64,),
        likelihood: str = "gaussian",
        steps: int = 1000,
        random_state: int = 0,
        settings: Mapping[str, Any] | None = None,
    ):
        """Store the parameters, as scikit-learn requires, without checking them."""
        self.model = model
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.likelihood = likelihood
        self.steps = steps
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any = None) -> "AutoencoderTransformer":
        """Train on all rows of a table.

        Args:
          X: the table [N, D].
          y: ignored.

        Raises:
          UserError: a parameter is not valid; it is a ValueError.
        """
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        self.autoencoder_ = fitting.fit(
            X,
            # All rows are trained on. The data source wants test examples, which nothing reads here.
            x_test=X[:2],
            model=self.model,
            steps=self.steps,
            seed=self.random_state,
            settings={"train.batch_size": min(128, len(X)), **(self.settings or {})},
            latent_dim=self.latent_dim,
            hidden=self.hidden,
            likelihood=self.likelihood,
        )
        self._n_features_out = self.latent_dim
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the latents [N, latent_dim] of the rows of a table [N, D]."""
        X = self._checked(X)
        return self.autoencoder_.encode(_padded(X), batch_size=_ROWS).mean[: len(X)].astype(X.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the rows [N, D] that latents [N, latent_dim] decode to."""
        check_is_fitted(self)
        z = np.asarray(X)
        decoded = self.autoencoder_.decode(_padded(z), batch_size=_ROWS)[: len(z)]
        return decoded.astype(z.dtype) if np.issubdtype(z.dtype, np.floating) else decoded

    def score(self, X: Any, y: Any = None) -> float:
        """Return the negative mean squared error of the reconstruction of a table, per entry.

        Args:
          X: the table [N, D].
          y: ignored.
        """
        X = self._checked(X)
        reconstructed = self.autoencoder_.reconstruct(_padded(X), batch_size=_ROWS)[: len(X)]
        return -float(np.mean(np.square(reconstructed - X)))

    def _checked(self, X: Any) -> np.ndarray:
        """Return a table as floats. Raise ValueError for another number of columns."""
        check_is_fitted(self)
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)

    def __sklearn_tags__(self) -> Any:
        """Say that float32 and float64 are kept."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _padded(rows: np.ndarray) -> np.ndarray:
    """Return rows [N, D] in float32, the last one repeated up to a whole number of device calls."""
    count = -(-len(rows) // _ROWS) * _ROWS
    return rows[np.minimum(np.arange(count), len(rows) - 1)].astype(np.float32)
