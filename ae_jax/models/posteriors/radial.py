"""A diagonal normal posterior transformed by radial flows.

Rezende and Mohamed 2015, "Variational inference with normalizing flows", arXiv:1505.05770, section 4.1.
"""

from ae_jax.core.flows import Radial
from ae_jax.models.posteriors import planar


class Posterior(planar.Posterior):
    """Transform as `planar.Posterior` does, by flows that contract or expand around a point."""

    flow = Radial  # type: ignore[assignment]  # called in the same way as Planar
