"""Package versions, git revision, devices and flags of this process, for versions.json."""

import functools
import importlib.metadata
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from ae_jax.experiments import configuration, revision

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml_collections", "numpy", "tensorflow-datasets")


@functools.cache
def of_process() -> Mapping[str, Any]:
    """Return the package versions, git revision, devices and flags of this process."""
    import jax

    def version(name: str) -> str | None:
        """Return the version of an installed package, or None."""
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    devices = jax.devices()
    return {
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in _PACKAGES},
        **revision.of_checkout(configuration.ROOT),
        "device": devices[0].device_kind,
        "platform": devices[0].platform,
        "devices": len(devices),
        "script": pathlib.Path(sys.argv[0]).name,
        "flags": sys.argv[1:],
    }


class CompileClock:
    """The sum of the seconds that XLA compiles in this process."""

    def __init__(self):
        """Begin at 0 seconds."""
        self.seconds = 0.0
        import jax

        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, seconds: float, **_):
        if event.endswith("backend_compile_duration"):
            self.seconds += seconds
