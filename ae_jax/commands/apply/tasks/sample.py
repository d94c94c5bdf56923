"""Draw new examples: from the model's prior, or through a sampler of its latents."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ae_jax.commands.apply import results, shared, userfiles
from ae_jax.core.errors import UserError
from ae_jax.experiments import using
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained,
    source: str,
    key: Any,
    *,
    count: int = 16,
    sampler: str = "prior",
    temperature: float = 1.0,
    top_k: int = 0,
    event_temperature: float = 0.0,
    render: bool = False,
    label: tuple = (),
    batch_size: int = 500,
) -> shared.Result:
    """Draw latents and decode them into means of the likelihood.

    Args:
      trained: the opened run.
      source: an .npz with the `label` of each example, in place of the flag --label; no examples are read.
      key: the random key of all that is drawn.
      count: how many examples are drawn.
      sampler: "prior", the model's own; a file of ae_jax/evaluation/samplers, fitted to latents of training data; or
        the directory of a run that was trained on the latents of this one.
      temperature: the factor of the prior's standard deviation; of a sampler that draws token by token, the number
        that its logits are divided by.
      top_k: how many of the most probable tokens such a sampler can draw; 0 for all.
      event_temperature: for melodies, the temperature at which each event is drawn; 0 takes the most probable one.
      render: whether melodies are also written as sound, .wav.
      label: classes for a conditional model, taken in turn.
      batch_size: examples per device call.

    Returns:
      Images sample_00.png, ..., melodies sample_00.mid, ..., or else one sample.npy.
    """
    form = results.sounding(shared.form_of(trained), render)
    means = using.sample(
        trained,
        count,
        sampler=sampler,
        temperature=temperature,
        top_k=top_k,
        event_temperature=event_temperature,
        label=_labels_in(source, label) if source else shared.label_for(trained, label),
        key=key,
        batch_size=batch_size,
    )
    return shared.Result(results.rendered(means, results.numbered("sample", count), "sample", form))


def _labels_in(source: str, flag: Sequence[str]) -> np.ndarray:
    """Return the `label` [N] or [N, L] of an .npz, or raise UserError."""
    path = pathlib.Path(source).expanduser()
    if path.suffix != ".npz" or not path.is_file() or len(flag):
        also = f", and --label is {','.join(flag)}" if len(flag) else ""
        raise UserError(
            f"task 'sample' reads no examples, and --input is {source!r}{also}\n"
            "expected an .npz with labels; or leave it out, or try --task=decode"
        )
    found = userfiles.load_arrays(path, "label")
    label = userfiles.label_of(path, found, len(np.atleast_1d(found["label"])))
    assert label is not None, "load_arrays returns this array"
    return label
