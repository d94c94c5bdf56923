"""Compress the user's examples: their discrete codes, by a range coder under a prior."""

import json
from typing import Any

from ae_jax.commands.apply import shared
from ae_jax.core.errors import UserError
from ae_jax.experiments import tokens
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained, source: str, key: Any, *, sampler: str = "", resize: bool = False, batch_size: int = 500
) -> shared.Result:
    """Encode examples into discrete codes, and compress the codes without loss.

    Args:
      trained: the opened run.
      source: the examples, as `userfiles.read_examples` reads them; "" for those of the run's own split.
      key: the random key of all that is drawn.
      sampler: the directory of a run of configs/transformer_prior.py or pixelcnn_prior.py on the codes of this one.
      resize: whether images of another size are stretched to the model's, and coloured ones made grey for a model of
        grey ones.
      batch_size: examples per device call, which the file states.

    Returns:
      STEM.npz with "payload" uint32; "header", JSON that states the number of examples, the bits under the prior, the
      digests of both models, the device and the versions; and "names".
    """
    if batch_size < 1:
        raise UserError(f"--batch_size={batch_size}\nuse at least 1")
    prior = tokens.prior_of(trained, sampler)
    examples = shared.read(trained, source, resize)
    indices = tokens.encode(trained, examples.inputs, key=key, batch_size=batch_size)
    payload, bits = tokens.compress(prior, indices, batch_size)
    header: dict[str, Any] = {"examples": len(indices), "bits": bits, "batch_size": batch_size}
    header |= {"model": trained.digest, "prior": prior.digest, **tokens.circumstances()}
    content = {"payload": payload, "header": json.dumps(header), "names": examples.names}
    return shared.Result({f"{examples.stem}.npz": content}, examples.originals, examples.unreadable)
