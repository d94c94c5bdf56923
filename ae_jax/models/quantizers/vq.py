"""Vector quantization: each vector is replaced by the nearest entry of a learned codebook.

van den Oord et al. 2017, "Neural discrete representation learning", arXiv:1711.00937.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import quantizers
from ae_jax.models.quantizers import Quantized, gradients

_UPDATES = ("average", "loss")
_STARTS = ("kmeans", "batch", "uniform")
_LLOYD_STEPS = 10
_DECAY = 0.99


class Quantizer(quantizers.Quantizer):
    """Replace vectors by the nearest entries of a codebook.

    The penalty "commitment" is the squared distance of a vector to its entry (equation 3). Its usual weight is 0.25.
    With update="loss" there is the penalty "codebook" too, which has the same value and moves the entries.

    Args:
      latent_dim: D, the size of a vector.
      codes: K, the number of entries.
      update: "average": entries are moving averages of the vectors that were nearest to them (appendix A.1). "loss":
        entries are parameters, which the penalty "codebook" moves.
      start: "kmeans": the entries start as the centres of k-means on the vectors of the first batch; "batch": as
        vectors of the first batch; "uniform": as draws between -start_range and start_range.
      start_range: the largest number of an entry that starts as a uniform draw.
      decay: the share that a moving average keeps in a step, 0.99 by default.
      smoothing: the constant of the Laplace smoothing of how often entries are used.
      dead_below: an entry is replaced by a vector of the batch when the moving average of how often a batch uses it
        falls below this number; 0 replaces none.
      gradient: "straight_through" or "rotation": how gradients pass through the choice of an entry.
      cosine: whether vectors and entries are normalised to length 1, so that the nearest entry has the largest cosine.

    Raises:
      UserError: for an unknown word, or if the first batch has fewer vectors than the codebook entries.
    """

    codes: Size = 512
    update: str = "average"
    start: str = "kmeans"
    start_range: float = 0.05
    smoothing: float = 1e-5
    dead_below: float = 0.0
    gradient: str = "straight_through"
    cosine: bool = False

    varying = ("decay",)

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.codes

    def check(self, count: int) -> None:
        """Raise UserError if `count` vectors are too few for the codebook to start from."""
        if self.start != "uniform" and count < self.codes:
            raise UserError(
                f"model.codes={self.codes} exceeds the {count} vectors of a batch, from which the codebook starts\n"
                f"use model.codes of at most {count}, a larger train.batch_size, or model.start=uniform"
            )

    def setup(self):
        """Check the words, and make the codebook."""
        for key, word, words in (("update", self.update, _UPDATES), ("start", self.start, _STARTS)):
            if word not in words:
                raise errors.unknown(f"model.{key}", word, words)
        shape = (self.codes, self.latent_dim)
        if self.update == "loss":
            self.param("entries", nn.initializers.zeros, shape)
            return
        self.variable("codebook", "entries", jnp.zeros, shape)
        self.variable("codebook", "counts", jnp.ones, shape[:1])
        self.variable("codebook", "totals", jnp.zeros, shape)
        self.decay = self.variable("codebook", "decay", lambda: jnp.float32(_DECAY))
        self.spare = self.variable("codebook", "spare", jnp.zeros, shape)
        self.uses = self.variable("sums", "uses", jnp.zeros, shape[:1])
        self.total = self.variable("sums", "total", jnp.zeros, shape)

    def __call__(self, z, shown=None, train: bool = False, hparams=None, places: int = 1) -> Quantized:
        """Replace vectors by entries; in training, add up what the moving averages need.

        Args:
          z: vectors [N, D].
          shown: [N], zero for the vectors of padding; None for none.
          train: whether this is a training step.
          hparams: "decay" is read.
          places: not read.
        """
        if self.cosine:
            z = _normalised(z)
        if self.is_initializing():
            self._begin(jax.lax.stop_gradient(z))
        entries = self._entries()
        indices = nearest(jax.lax.stop_gradient(z), jax.lax.stop_gradient(entries))
        chosen = entries[indices]
        fixed, z_fixed = jax.lax.stop_gradient((chosen, z))
        penalties = {"commitment": jnp.square(z - fixed).sum(axis=-1)}
        if self.update == "loss":
            penalties["codebook"] = jnp.square(z_fixed - chosen).sum(axis=-1)
        elif train:
            self._count(z_fixed, indices, shown, (hparams or {}).get("decay", _DECAY))
        return Quantized(gradients.find(self.gradient)(z, fixed), indices, penalties)

    def embed(self, indices):
        """Return entries [..., D] by their numbers [...]."""
        return self._entries()[indices]

    def _entries(self):
        """Return the codebook [K, D]."""
        entries = self.get_variable("params" if self.update == "loss" else "codebook", "entries")
        return _normalised(entries) if self.cosine else entries

    def _begin(self, z):
        """Set the codebook before the first step, from the vectors z [N, D] of the first batch."""
        key = self.make_rng("collections")
        entries = _some_rows(z, self.codes, key)
        if self.start == "kmeans":
            entries = jax.lax.fori_loop(0, _LLOYD_STEPS, lambda _, centres: lloyd_step(z, centres), entries)
        elif self.start == "uniform":
            entries = jax.random.uniform(key, entries.shape, minval=-self.start_range, maxval=self.start_range)
        if self.update == "loss":
            self.put_variable("params", "entries", entries)
            return
        for name in ("entries", "totals", "spare"):
            self.put_variable("codebook", name, entries)

    def _count(self, z, indices, shown, decay):
        """Add to the sums over the batch, and keep vectors that may replace dead entries."""
        shown = jnp.ones(len(z)) if shown is None else shown
        chosen = jax.nn.one_hot(indices, self.codes) * shown[:, None]
        self.uses.value += chosen.sum(axis=0)
        self.total.value += chosen.T @ z
        self.decay.value = jnp.asarray(decay, jnp.float32)
        if self.dead_below:
            # Rows of padding have no share of the cumulative sum, so that none of them is drawn.
            ends = jnp.cumsum(shown)
            draws = jax.random.uniform(self.make_rng("collections"), (self.codes,)) * ends[-1]
            self.spare.value = z[jnp.searchsorted(ends, draws, side="right")]

    @nn.nowrap
    def after_batch(self, collections, key):
        """Move the averages, and replace dead entries."""
        if self.update == "loss":
            return collections
        book, sums = collections["codebook"], collections["sums"]
        decay = book["decay"]
        counts = decay * book["counts"] + (1 - decay) * sums["uses"]
        totals = decay * book["totals"] + (1 - decay) * sums["total"]
        if self.dead_below:
            dead = counts < self.dead_below
            counts = jnp.where(dead, 1.0, counts)
            totals = jnp.where(dead[:, None], book["spare"], totals)
        whole = counts.sum()
        smooth = (counts + self.smoothing) / (whole + self.codes * self.smoothing) * whole
        # Without smoothing, an entry that no vector chose keeps its place.
        new = jnp.where(smooth[:, None] > 0, totals / jnp.maximum(smooth, 1e-30)[:, None], book["entries"])
        return {**collections, "codebook": {**book, "counts": counts, "totals": totals, "entries": new}}


def nearest(z, entries):
    """Return the number of the entry that is nearest to each vector, int32 [N].

    Args:
      z: vectors [N, D].
      entries: [K, D].
    """
    # |z|^2 is the same for all entries. The rest is one matrix product; there is no array [N, K, D].
    return (jnp.square(entries).sum(axis=1)[None] - 2 * z @ entries.T).argmin(axis=1).astype(jnp.int32)


def lloyd_step(z, centres):
    """Return centres [K, D] after one step of k-means on vectors [N, D].

    The centre of an empty cluster stays where it was.
    """
    chosen = jax.nn.one_hot(nearest(z, centres), len(centres))
    counts = chosen.sum(axis=0)[:, None]
    return jnp.where(counts > 0, chosen.T @ z / jnp.maximum(counts, 1), centres)


def _some_rows(z, count, key):
    """Return `count` different rows of z [N, D] in random order.

    If there are fewer rows, all of them are repeated.
    """
    order = jax.random.permutation(key, len(z))
    return z[order[jnp.arange(count) % len(z)]]


def _normalised(values):
    """Return vectors of length 1."""
    return values / jnp.maximum(jnp.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
