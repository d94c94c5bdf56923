"""The library object: a trained autoencoder that is used on arrays.

`ae_jax.fit` and `ae_jax.load` return an `Autoencoder`. It wraps an opened run, and its methods call the functions of
`ae_jax.experiments.using`, which the command line calls too.
"""

import io
import json
import pathlib
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, batched, rundir, using


class Home:
    """A temporary directory with a run and its data, removed with this object."""

    def __init__(self, path: pathlib.Path):
        """Take charge of a directory."""
        self.path, self.run, self.data = path, path / "run", path / "data.npz"
        # A finalizer also runs when Python exits, which `__del__` may not. It holds the path and not this object.
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)


class Encoded(NamedTuple):
    """The latents of examples.

    Attributes:
      mean: posterior means [N, D]; the latents themselves where they are deterministic.
      scale: standard deviations of the posterior [N, D]; None unless the posterior is a normal distribution.
    """

    mean: np.ndarray
    scale: np.ndarray | None


class Autoencoder:
    """A trained autoencoder, whose methods take and return NumPy arrays.

    The examples x of all methods have the shape [N, *input_shape], with values as in training: integers are levels of
    pixels or events, and floats are values as the model reads them. Grey images may lack the axis of channels. For a
    conditional model, `label` holds classes [N] or vectors [N, L].

    It unpacks as `model, variables, config = ...` for those who use the functional pieces.
    """

    def __init__(self, trained: analysis.Trained, home: Home | None = None):
        """Wrap an opened run.

        Args:
          trained: the run, as `ae_jax.experiments.analysis.load` opens it.
          home: the temporary directory that holds the run, if any.
        """
        self.trained = trained
        self._home = home

    def __iter__(self) -> Iterator[Any]:
        """Yield the model, its variables and the config of the run."""
        return iter((self.model, self.variables, self.config))

    def __repr__(self) -> str:
        """Name the family, the shape of an example and the step."""
        config, step = self.config, self.trained.context["step"]
        return f"Autoencoder({config.model.name!r}, shape={self.trained.spec.shape}, step={step})"

    @property
    def model(self) -> Any:
        """The model, a Linen module."""
        return self.trained.model

    @property
    def variables(self) -> dict[str, Any]:
        """The parameters and other collections of the model."""
        return self.trained.variables

    @property
    def config(self) -> Any:
        """The config of the run."""
        return self.trained.experiment.config

    def encode(self, x: Any, *, label: Any = None, batch_size: int = 500) -> Encoded:
        """Return the means and the standard deviations of the posteriors, each [N, D].

        Args:
          x: examples [N, *input_shape].
          label: labels of a conditional model.
          batch_size: the number of examples in a device call.

        Raises:
          UserError: the model does not read such examples or labels, or has no latents.
        """
        x = self._with_channels(x)
        return Encoded(*using.encode_with_scale(self.trained, x, label=label, batch_size=batch_size))

    def decode(self, z: Any, **options: Any) -> np.ndarray:
        """Return the means of p(x | z) at latents z [N, D]; see `using.decode` for the options."""
        return using.decode(self.trained, z, **options)

    def reconstruct(self, x: Any, **options: Any) -> np.ndarray:
        """Return encoded and decoded examples [N, *shape]; see `using.reconstruct` for the options."""
        return using.reconstruct(self.trained, self._with_channels(x), **options)

    def sample(self, count: int = 16, **options: Any) -> np.ndarray:
        """Return new examples [count, *shape]; see `using.sample` for the options."""
        return using.sample(self.trained, count, **options)

    def interpolate(self, start: Any, end: Any, **options: Any) -> np.ndarray:
        """Decode the latents between two latents [D]; see `using.interpolate` for the options."""
        return using.interpolate(self.trained, start, end, **options)

    def score(self, x: Any, **options: Any) -> dict[str, np.ndarray]:
        """Return scores of each example, such as "mse" and "elbo"; see `using.score`."""
        return using.score(self.trained, self._with_channels(x), **options)

    def evaluate(
        self, metrics: Sequence[str] | None = None, x: Any = None, y: Any = None, batch_size: int = 500, **options: Any
    ) -> dict[str, float]:
        """Compute metrics of the test split, or of given examples.

        Args:
          metrics: names of metrics, such as "elbo" and "mse"; by default those of the config.
          x: examples [N, *shape] to evaluate in place of the test split, in the units of the training data.
          y: their labels, for metrics and models that read them.
          batch_size: the number of examples in a device call.
          **options: options of the metrics as METRIC_OPTION, for example nll_samples=100.

        Returns:
          {name: value, name_se: standard error of the mean}.

        Raises:
          UserError: a metric is unknown, or does not fit the model or the examples.
        """
        names = self.config.eval.metrics if metrics is None else metrics
        built, data = self.trained.experiment, self.trained.data
        if x is not None:
            arrays = {"x": batched.as_stored(self.trained, self._with_channels(x))}
            arrays |= {} if y is None else {"label": batched.as_labels(self.trained, y)}
            data = data.replace(test=built.held_out(arrays, batch_size, self.trained.seed))
        return analysis.evaluate(built, self.variables, names, data, self.trained.seed, options)

    def figure(self, name: str, **options: Any) -> Any:
        """Draw a figure of the registry, such as "manifold" or "scatter".

        Args:
          name: the name of the figure.
          **options: keyword arguments of the figure, for example size=20.

        Returns:
          The Matplotlib figure.

        Raises:
          UserError: the figure is unknown, or does not fit the model or the data.
        """
        arrays = lookup.find("figures", name, "arrays")
        figure = lookup.find("figures", name, "figure")
        key = jax.random.key(self.trained.seed)
        return figure(arrays(self.model, self.variables, self.trained.data, key, **options))

    def _with_channels(self, x: Any) -> np.ndarray:
        """Return grey images [N, H, W] as [N, H, W, 1], and other examples as they are."""
        x, shape = np.asarray(x), self.trained.experiment.input_shape
        return x[..., None] if (*x.shape[1:], 1) == shape else x

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the files of a run that `fit` made, and only the path of a run that `load` opened."""
        options = {"trust": self.trained.experiment.trust}
        # Whoever unpickles a run that lies at a path of the user's expects to read it from there.
        if self._home is None:
            return _load, (str(self.trained.run.path), options)
        with io.BytesIO() as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(self._home.path, arcname=".")
            return _unpacked, (packed.getvalue(), options)

    def save(self, path: str) -> None:
        """Copy the run, and the data that `fit` was given, to a new directory for `ae_jax.load`.

        Args:
          path: the new directory.

        Raises:
          UserError: the path exists, or cannot be written.
        """
        target = pathlib.Path(path).absolute()
        if target.exists():
            raise UserError(f"{path!r} exists\nuse the path of a new directory")
        try:
            shutil.copytree(self.trained.run.path, target)
            # The temporary directory is removed with this object, so the copy must not refer to it.
            if self._home:
                data = shutil.copy(self._home.data, target)
                _set_data_path(rundir.RunDir(target), str(data))
        except OSError as error:
            raise UserError(f"{path!r} cannot be written: {error}\nuse another path") from None


def load(workdir: str, **options: Any) -> Autoencoder:
    """Open a trained run; the options are those of `ae_jax.experiments.analysis.load`."""
    return Autoencoder(analysis.load(workdir, **options))


def make_home() -> Home:
    """Make a temporary directory for a run."""
    return Home(pathlib.Path(tempfile.mkdtemp(prefix="ae_jax-")))


def _load(workdir: str, options: Mapping[str, Any]) -> Autoencoder:
    """Open a run that was pickled as its path."""
    return load(workdir, **options)


def _unpacked(packed: bytes, options: Mapping[str, Any]) -> Autoencoder:
    """Open a run that was pickled with its files."""
    home = make_home()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(home.path, filter="data")
    # The stored path is that of the process that pickled the run, whose directory may be gone.
    _set_data_path(rundir.RunDir(home.run), str(home.data))
    return Autoencoder(analysis.load(str(home.run), **options), home)


def _set_data_path(run: rundir.RunDir, path: str) -> None:
    """Write the path of the data into the stored config of a run."""
    stored = json.loads(run.config.read_text())
    stored["config"]["data"]["path"] = path
    rundir.write_json(run.config, stored)
