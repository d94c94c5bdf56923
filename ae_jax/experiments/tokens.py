"""Discrete latents of a trained model: examples to indices, to bytes, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import centre
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.evaluation import second_stage
from ae_jax.evaluation.metrics import codebook
from ae_jax.experiments import batched
from ae_jax.experiments.analysis import Trained

# The probabilities of the range coder are integers that add up to at most 2^24.
_BITS = 24


def are_there(trained: Trained) -> bool:
    """Return whether the latent of a run is discrete."""
    spec = trained.model.code_spec
    return spec is not None and spec.kind == "tokens"


def encode(trained: Trained, x: Any, *, label: Any = None, key: Any, batch_size: int = 500) -> np.ndarray:
    """Return the indices [N, *code_spec.shape] of examples, in the smallest integer type.

    Raises:
      UserError: the latent is not discrete, or the model does not read such examples.
    """
    batch = batched.of_inputs(trained, x)
    found = batched.compute(trained, _encode, batch, label=label, key=key, batch_size=batch_size)
    return found.astype(np.min_scalar_type(trained.model.code_spec.levels - 1))


def decode(trained: Trained, indices: Any, *, label: Any = None, key: Any, batch_size: int = 500) -> np.ndarray:
    """Return the means or modes of p(x | codes) at indices [N, *code_spec.shape]: [N, *shape].

    Raises:
      UserError: these are no indices of this model.
    """
    batch = {"indices": checked(trained, indices), **batched.blank(len(indices))}
    return batched.compute(trained, _decode, batch, label=label, key=key, batch_size=batch_size)


def checked(trained: Trained, indices: Any) -> np.ndarray:
    """Return indices as int32. Raise UserError unless they are of the model's codebook."""
    indices, spec = np.asarray(indices), trained.model.code_spec
    if not are_there(trained):
        raise UserError(
            "this model's latent is not discrete\nuse a file of latents, as encode writes it for this model"
        )
    if indices.shape[1:] != spec.shape or not len(indices) or not np.issubdtype(indices.dtype, np.integer):
        expected = ", ".join(map(str, ("N", *spec.shape)))
        raise UserError(
            f"indices have shape {list(indices.shape)} and type {indices.dtype}\nexpected integers [{expected}]"
        )
    if indices.min() < 0 or indices.max() >= spec.levels:
        raise UserError(f"indices range from {indices.min()} to {indices.max()}\nexpected 0 to {spec.levels - 1}")
    return indices.astype(np.int32)


def prior_of(trained: Trained, sampler: str) -> Trained:
    """Open the run of a prior by which codes are compressed.

    Raises:
      UserError: it is no run on the codes of this one, or has no probability of each token given those before it.
    """
    if not are_there(trained):
        raise UserError("this model's latent is not discrete\nuse a run of configs/vq_vae.py")
    if not sampler:
        raise UserError("codes are compressed under a prior\nset --sampler=RUN, a run of configs/transformer_prior.py")
    run: Trained = second_stage.opened(sampler, trained.model, trained.variables, trained.data)
    if not run.model.says("next_logits") or run.model.reads_label:
        raise UserError(
            f"sampler {sampler!r} does not predict each token from those before it alone\n"
            "use a run of configs/transformer_prior.py or configs/pixelcnn_prior.py that is not conditional"
        )
    return run


def compress(prior: Trained, indices: np.ndarray, batch_size: int) -> tuple[np.ndarray, float]:
    """Return the indices [N, ...] as words of a range coder, uint32, and the stated bits.

    Args:
      prior: the run of the prior.
      indices: the indices.
      batch_size: the number of examples of which probabilities are computed at once.
    """
    coder = _coder()
    encoder, bits = coder.queue.RangeEncoder(), 0.0

    def known(place, rows, shares):
        nonlocal bits
        symbols = flat[rows, place]
        bits -= np.log2(shares[np.arange(len(rows)), symbols] / shares.sum(axis=1)).sum()
        encoder.encode(symbols, coder.model.Categorical(perfect=False), shares)
        return symbols

    flat = indices.reshape(len(indices), -1).astype(np.int32)
    _walk(prior, len(indices), batch_size, known)
    return encoder.get_compressed(), float(bits)


def decompress(prior: Trained, words: np.ndarray, count: int, batch_size: int) -> np.ndarray:
    """Return the indices [count, *spec.shape], int32, of which `compress` made words.

    Args:
      prior: the run of the prior by which they were compressed.
      words: the words of the range coder, uint32 [W].
      count: the number of examples.
      batch_size: that of `compress`, because the last bits of the probabilities may depend on it.
    """
    coder = _coder()
    decoder = coder.queue.RangeDecoder(words)

    def read(place, rows, shares):
        # The probabilities must be rounded as in `compress`: others would decode to other symbols.
        return decoder.decode(coder.model.Categorical(perfect=False), shares)

    return _walk(prior, count, batch_size, read).reshape(count, *prior.spec.shape)


def _walk(prior: Trained, count: int, batch_size: int, symbols_of: Any) -> np.ndarray:
    """Visit the tokens of all examples in the stream's order; return them, int32 [count, T].

    Both directions run this one program, step by step, in batches of one shape. Computed for all places at once, the
    probabilities would differ in their last bits, and the stream could not be read.

    Args:
      prior: the run of the prior.
      count: the number of examples.
      batch_size: the number of examples in a batch; the last one is filled up.
      symbols_of: a function (place, rows, probabilities [rows, K]) -> the tokens at a place of these examples.
    """
    model, length = prior.model, int(np.prod(prior.spec.shape))
    found = np.zeros((count, length), np.int32)

    @jax.jit
    def step(variables, state, before, place):
        state, logits = model.apply(variables, state, before, place, method="next_logits")
        return state, _integers(logits)

    for start in range(0, count, batch_size):
        rows = np.arange(start, min(start + batch_size, count))
        # The last batch may have idle rows. A smaller one would be compiled again, and might round differently.
        state = model.apply(prior.variables, batch_size, method="first_state")
        before = np.full(batch_size, -1, np.int32)
        for place in range(length):
            state, shares = step(prior.variables, state, before, np.int32(place))
            # The coder reads float64, which holds these integers of at most 24 bits exactly.
            found[rows, place] = symbols_of(place, rows, np.asarray(shares, np.float64)[: len(rows)])
            before[: len(rows)] = found[rows, place]
    return found


def _integers(logits: Any) -> Any:
    """Return probabilities as integers [B, K], each at least 1, that add up to at most 2^24."""
    size = logits.shape[-1]
    # The coder cannot encode a token of probability zero, so each gets one unit before the others are shared out.
    return jnp.floor(jax.nn.softmax(logits, axis=-1) * (2**_BITS - size)).astype(jnp.int32) + 1


def circumstances() -> dict[str, str]:
    """Return what the last bits of probabilities depend on: the device and the versions of JAX."""
    import jaxlib

    return {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "jaxlib": jaxlib.__version__}


def _coder() -> Any:
    """Return the package `constriction`. Raise UserError if it is not installed."""
    try:
        import constriction
    except ImportError:
        raise UserError(
            "compression needs the package constriction\ninstall it: pip install 'ae_jax[compress]'"
        ) from None
    return constriction.stream


def _encode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    return codebook.of_batch(model, variables, batch, key)["indices"]


def _decode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    rest = {name: values for name, values in batch.items() if name != "indices"}
    latents = model.apply(variables, batch["indices"][None], method="embed")
    return centre(model.apply(variables, (latents,), rest, method="decode"))[0]
