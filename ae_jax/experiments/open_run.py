"""Other runs that a run is made of: how they are opened, and how its config remembers their parameters."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax

from ae_jax.core import compat
from ae_jax.data import splits
from ae_jax.experiments import trusted


@dataclasses.dataclass(frozen=True)
class RunOpener:
    """The function `open_run(workdir)`, which sources, objectives and parts that declare it receive.

    It returns an `ae_jax.experiments.analysis.Trained`. It is hashable, as the fields of a model have to be.

    Args:
      trust: the modules that stored configs may name, see `trusted`.
    """

    trust: tuple[str, ...] = ()

    def __call__(self, workdir: str) -> Any:
        from ae_jax.experiments import analysis  # which builds experiments itself

        # A part or an objective may open a run while it is traced. The run must not become a part of the program.
        with jax.ensure_compile_time_eval(), compat.outside_of_modules():
            return analysis.load(workdir, trust=self.trust)


def pinned(configs: Iterable[Any], trust: Sequence[str] = ()) -> list[Any]:
    """Return configs with the digest of the run that their data are made of, where that is not there yet.

    A source with a parameter `digest` is such that its data are made of the run in data.path. Each such run is opened
    once. A trained run's config has the digest as data.digest, so that a later change of the other run is noticed.

    Args:
      configs: configs of runs that are about to begin or to go on.
      trust: modules that the runs they read may name, beside those that the configs name.
    """
    digests, found = {}, []
    for config in configs:
        data = config.data
        path = data.get("path")
        if path and not data.get("digest") and "digest" in splits.keys_of(data.source):
            if path not in digests:
                digests[path] = RunOpener((*trust, *trusted.modules(config)))(path).digest
            config = config.copy_and_resolve_references()
            with config.unlocked():
                config.data.digest = digests[path]
        found.append(config)
    return found
