"""Decode the user's latents."""

from pathlib import Path
from typing import Any

from ae_jax.commands.apply import results, shared, usercodes
from ae_jax.core.errors import UserError
from ae_jax.experiments import using
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained, source: str, key: Any, *, label: tuple = (), batch_size: int = 500, render: bool = False
) -> shared.Result:
    """Decode latents into means of the likelihood: an image or a melody for each, or else one STEM.npy.

    Args:
      trained: the opened run.
      source: a file of latents, as `usercodes.read_codes` reads it.
      key: the random key of all that is drawn.
      label: classes for a conditional model, taken in turn. By default it is given the labels of an .npz.
      batch_size: examples per device call.
      render: whether melodies are also written as sound, .wav.
    """
    if not source:
        raise UserError("task 'decode' has no --input\nexpected codes: a .csv, .npz or .npy, such as encode writes")
    found = usercodes.read_codes(source, using.dimension(trained), trained.context.get("limit"))
    given = shared.label_for(trained, label, found.label)
    means = using.decode(trained, found.codes, label=given, key=key, batch_size=batch_size)
    path, form = Path(source).expanduser(), results.sounding(shared.form_of(trained), render)
    return shared.Result(results.rendered(means, found.names, path.stem, form), [path])
