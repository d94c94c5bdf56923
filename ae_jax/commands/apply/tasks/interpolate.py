"""Decode latents on the way from one of the user's examples to another."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ae_jax.commands.apply import results, shared
from ae_jax.commands.apply.userfiles import Examples
from ae_jax.core.errors import UserError
from ae_jax.experiments import using
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained,
    source: str,
    key: Any,
    *,
    steps: int = 10,
    spherical: bool = False,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
    layout: str = "",
    render: bool = False,
) -> shared.Result:
    """Decode latents at even distances on the way from example A to example B, for --input=A,B.

    Args:
      trained: the opened run.
      source: two files of one example each, joined by a comma.
      key: the random key of all that is drawn.
      steps: how many latents are decoded, from that of A to that of B; a single one is halfway.
      spherical: whether the way is an arc around the origin, on which latents stay as far from it as A and B. By
        default it is a geodesic of the latent space, which is a line for most models.
      resize: whether images of another size are stretched to the model's, and coloured ones made grey for a model of
        grey ones.
      label: the class for a conditional model. By default it is given the label of A, if its file has one.
      batch_size: examples per device call.
      track: the voice of a MIDI file, numbered as in the list that is printed where there are several.
      start_bar: the first bar of a MIDI file that is read, counted from 1, in bars as long as the model's.
        By default the file is read from beginning to end, in pieces.
      layout: the axes of an array, such as NCHW, as in data.layout. By default they are those of the training data.
      render: whether melodies are also written as sound, .wav.

    Returns:
      Images A_B_0.png, A_B_1.png, ..., and A_B.png with all of them side by side; melodies likewise, A_B.mid with all
      of them one after the other; or one array [steps, *shape] of the kind of A.
    """
    paths = [path.strip() for path in source.split(",")]
    if len(paths) != 2 or not all(paths):
        raise UserError(f"task 'interpolate' goes from one example to another, and --input is {source!r}\nexpected A,B")
    if len(label) > 1:
        raise UserError(f"--label={','.join(map(str, label))}\nexpected one class, for the whole way")
    ends = [_one(shared.read(trained, path, resize, track, start_bar, layout), path) for path in paths]
    labels = [shared.label_for(trained, label, end.label) for end in ends]
    start, end = (
        using.encode(trained, one.inputs, label=given, key=key, batch_size=batch_size)[0]
        for one, given in zip(ends, labels)
    )
    options = {"label": labels[0], "key": key, "batch_size": batch_size}
    means = using.interpolate(trained, start, end, steps=steps, spherical=spherical, **options)
    files = _rendered(means, ends, render)
    originals = [path for one in ends for path in one.originals]
    return shared.Result(files, originals, [line for one in ends for line in one.unreadable])


def _one(examples: Examples, path: str) -> Examples:
    """Return what was read. Raise UserError unless it is one example."""
    if len(examples.inputs) != 1:
        raise UserError(
            f"{path} holds {len(examples.inputs)} examples: {', '.join(examples.names[:20])}\n"
            "expected one: an image, an array of one, or a melody at a --start_bar"
        )
    return examples


def _rendered(means: np.ndarray, ends: Sequence[Examples], render: bool) -> dict[str, Any]:
    """Return {file: content} of all steps [T, *shape], each by itself and all together."""
    stem, form = f"{ends[0].stem}_{ends[1].stem}", results.sounding(ends[0].form, render)
    files = results.rendered(means, results.numbered(stem, len(means)), stem, form)
    if form.suffix == ".png":
        files[f"{stem}.png"] = np.concatenate(list(files.values()), axis=1)
    elif form.suffix == ".mid":
        files |= results.melody(means, stem, render, form.bar)
    return files
