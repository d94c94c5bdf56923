"""Decode the user's latents."""

from pathlib import Path
from typing import Any

from ae_jax.commands.apply import results, shared, usercodes, userfiles
from ae_jax.core.errors import UserError
from ae_jax.experiments import tokens, using
from ae_jax.experiments.analysis import Trained


def run(
    trained: Trained, source: str, key: Any, *, label: tuple = (), batch_size: int = 500, render: bool = False
) -> shared.Result:
    """Decode latents into means of the likelihood.

    Results are an image or a melody for each latent, or else one STEM.npy.

    Args:
      trained: the opened run.
      source: a file of latents, as `usercodes.read_codes` reads it; of discrete latents, an .npz with "indices".
      key: the random key of all that is drawn.
      label: classes for a conditional model, taken in turn. By default it is given the labels of an .npz.
      batch_size: examples per device call.
      render: whether melodies are also written as sound, .wav.
    """
    if not source:
        raise UserError("task 'decode' has no --input\nexpected codes: a .csv, .npz or .npy, such as encode writes")
    if tokens.are_there(trained):
        return _of_indices(trained, Path(source).expanduser(), key, label, batch_size)
    found = usercodes.read_codes(source, using.dimension(trained), trained.context.get("limit"))
    given = shared.label_for(trained, label, found.label)
    means = using.decode(trained, found.codes, label=given, key=key, batch_size=batch_size)
    path, form = Path(source).expanduser(), results.sounding(shared.form_of(trained), render)
    return shared.Result(results.rendered(means, found.names, path.stem, form), [path])


def _of_indices(trained: Trained, path: Path, key: Any, label: tuple, batch_size: int) -> shared.Result:
    """Decode the "indices" of an .npz. Raise UserError for another file."""
    if path.suffix != ".npz" or not path.is_file():
        raise UserError(
            f"--input: {str(path)!r} is no file of indices\nuse an .npz, as encode writes it for this model"
        )
    stored = userfiles.load_arrays(path, "indices", "names", "label")
    indices = tokens.checked(trained, stored["indices"])[: trained.context.get("limit")]
    names = [str(name) for name in stored.get("names", results.numbered(path.stem, len(indices)))][: len(indices)]
    given = shared.label_for(trained, label, userfiles.label_of(path, stored, len(stored["indices"])))
    means = tokens.decode(trained, indices, label=given, key=key, batch_size=batch_size)
    return shared.Result(results.rendered(means, names, path.stem, results.form_of(trained.spec)), [path])
