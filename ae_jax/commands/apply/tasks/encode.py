"""Encode the user's examples."""

from typing import Any

from ae_jax.commands.apply import shared
from ae_jax.experiments import tokens, using
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
) -> shared.Result:
    """Encode examples into latents: posterior means, or indices of discrete latents.

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

    Returns:
      STEM.npz with "code" [N, D] float32 and "names" [N]; "scale" [N, D], the standard deviations of the posteriors,
      where they are normal distributions; and "label" where the examples have labels. STEM.csv has the same as columns
      file, label, z0, ..., z0_scale, ..., in nine digits, which give back every float32; classes by name, and no
      vectors. Of discrete latents, only STEM.npz with "indices" [N, ...] and "names".
    """
    examples = shared.read(trained, source, resize, track, start_bar, layout)
    given = shared.label_for(trained, label, examples.label)
    if tokens.are_there(trained):
        indices = tokens.encode(trained, examples.inputs, label=given, key=key, batch_size=batch_size)
        of_tokens: dict[str, Any] = {f"{examples.stem}.npz": {"indices": indices, "names": examples.names}}
        return shared.Result(of_tokens, examples.originals, examples.unreadable)
    options = {"label": given, "key": key, "batch_size": batch_size}
    code, scale = using.encode_with_scale(trained, examples.inputs, **options)
    arrays = {"code": code, "names": examples.names}
    table: dict[str, Any] = {"file": examples.names, **shared.label_column(trained, examples.label)}
    table |= {f"z{d}": [f"{z:.9g}" for z in column] for d, column in enumerate(code.T)}
    if scale is not None:
        arrays["scale"] = scale
        table |= {f"z{d}_scale": [f"{each:.9g}" for each in column] for d, column in enumerate(scale.T)}
    if examples.label is not None:
        arrays["label"] = examples.label
    rows = [list(table), *(list(row) for row in zip(*table.values(), strict=True))]
    files = {f"{examples.stem}.npz": arrays, f"{examples.stem}.csv": rows}
    return shared.Result(files, examples.originals, examples.unreadable)
