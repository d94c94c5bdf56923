"""Encode the user's examples."""

from typing import Any

from ae_jax.commands.apply import shared
from ae_jax.experiments import using
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
    """Encode examples into latents, which are posterior means where there is a posterior.

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
      STEM.npz with "code" [N, D] float32, "names" [N] and the labels of the file, if any, and STEM.csv with the same,
      in nine digits, which give back every float32.
    """
    examples = shared.read(trained, source, resize, track, start_bar, layout)
    given = shared.label_for(trained, label, examples.label)
    code = using.encode(trained, examples.inputs, label=given, key=key, batch_size=batch_size)
    columns: dict[str, Any] = {"file": examples.names}
    arrays = {"code": code, "names": examples.names}
    if examples.label is not None:
        arrays["label"] = examples.label
        # Labels that are vectors stand in the .npz alone.
        columns |= {"label": examples.label} if examples.label.ndim == 1 else {}
    columns |= {f"z{d}": [f"{z:.9g}" for z in code[:, d]] for d in range(code.shape[1])}
    table = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    files = {f"{examples.stem}.npz": arrays, f"{examples.stem}.csv": table}
    return shared.Result(files, examples.originals, examples.unreadable)
