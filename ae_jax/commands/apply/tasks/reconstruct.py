"""Reconstruct the user's examples, also denoised, upscaled or with an attribute changed."""

from typing import Any

from ae_jax.commands.apply import results, shared
from ae_jax.experiments import attributes, using
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained,
    source: str,
    key: Any,
    *,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
    layout: str = "",
    attribute: tuple = (),
    render: bool = False,
) -> shared.Result:
    """Encode and decode examples; results are files of the same kind, under the same names.

    A melody becomes the most probable events, with its piano roll.

    Args:
      trained: the opened run.
      source: the examples, as `userfiles.read_examples` reads them; "" for those of the run's own split.
      key: the random key of all that is drawn.
      resize: whether images of another size are stretched to the model's, and coloured ones made grey for a model of
        grey ones.
      label: classes for a conditional model, taken in turn. By default it is given the labels of an .npz.
      batch_size: examples per device call.
      track: the voice of a MIDI file, numbered as in the list that is printed where there are several.
      start_bar: the first bar of a MIDI file that is read, counted from 1, in bars as long as the model's.
        By default the file is read from beginning to end, in pieces.
      layout: the axes of an array, such as NCHW, as in data.layout. By default they are those of the training data.
      attribute: for melodies, NAME:AMOUNT, how much more of an attribute the latent is given: 1 is from the quarter of
        the training examples with the least of it to the quarter with the most. NAME is a function of
        ae_jax/data/music/attributes.py.
      render: whether melodies are also written as sound, .wav.
    """
    examples = shared.read(trained, source, resize, track, start_bar, layout)
    form = results.sounding(examples.form, render)
    options = {"key": key, "batch_size": batch_size}
    given = shared.label_for(trained, label, examples.label)
    if attribute:
        amounts = shared.amounts(attribute)
        codes = using.encode(trained, examples.inputs, label=given, **options)
        codes += attributes.shift(trained, amounts, label=shared.label_for(trained, label), **options)[None]
        means = using.decode(trained, codes, label=given, **options)
    else:
        means = using.reconstruct(trained, examples.inputs, label=given, **options)
    files = results.rendered(means, examples.names, examples.stem, form)
    return shared.Result(files, examples.originals, examples.unreadable)
