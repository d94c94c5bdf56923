"""Open the other runs that a run reads, and pin their parameters by digest in its config."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax

from ae_jax.core import compat
from ae_jax.data import splits
from ae_jax.experiments import trusted


@dataclasses.dataclass(frozen=True)
class RunOpener:
    """The function `open_run(workdir)`, for data sources, objectives and parts that declare it.

    It is hashable, as the fields of Linen modules have to be.

    Args:
      trust: the modules that stored configs may name, see `trusted`.
    """

    trust: tuple[str, ...] = ()

    def __call__(self, workdir: str) -> Any:
        """Open the run in a directory, and return it as an `ae_jax.experiments.analysis.Trained`."""
        from ae_jax.experiments import analysis  # analysis imports this module

        # A part or an objective may open a run while JAX traces it. Without these contexts the run's arrays would be
        # tracers, and its modules would become submodules of the model that is being traced.
        with jax.ensure_compile_time_eval(), compat.outside_of_modules():
            return analysis.load(workdir, trust=self.trust)


def pinned(configs: Iterable[Any], trust: Sequence[str] = ()) -> list[Any]:
    """Add data.digest to configs whose data come from another run, where it is missing.

    A data source with a parameter `digest` makes its data from the run in data.path, for instance from its latents.
    The digest of that run's parameters is stored in the config, so that a later change of the other run is noticed.

    Args:
      configs: configs of runs that are about to begin or to resume.
      trust: modules that the other runs' configs may name, beside those that these configs name.

    Returns:
      The configs in order; changed ones are copies.
    """
    digests, found = {}, []
    for config in configs:
        data = config.data
        path = data.get("path")
        if path and not data.get("digest") and "digest" in splits.keys_of(data.source):
            # The configs of a sweep often read the same run, which is then opened once.
            if path not in digests:
                digests[path] = RunOpener((*trust, *trusted.modules(config)))(path).digest
            config = config.copy_and_resolve_references()
            with config.unlocked():
                config.data.digest = digests[path]
        found.append(config)
    return found
