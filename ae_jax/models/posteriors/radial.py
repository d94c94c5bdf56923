"""A diagonal normal distribution bent by radial flows: Rezende and Mohamed 2015, arXiv:1505.05770, section 4.1."""

from ae_jax.core.flows import Radial
from ae_jax.models.posteriors import planar


class Posterior(planar.Posterior):
    """As `planar.Posterior`, with flows that pull towards a point, or push away from it."""

    flow = Radial  # type: ignore[assignment]  # called in the same way as Planar
