"""Examples decoded from the user's codes."""

from pathlib import Path

from ae_jax import results, tasks, userfiles
from ae_jax.errors import UserError


def run(trained, source, key, *, label: tuple = (), batch_size: int = 500, render: bool = False) -> tasks.Result:
    """Means of the likelihood: an image a code, under the code's name; or a melody; else one STEM.npy."""
    if not source:
        raise UserError("task 'decode' has no --input\nexpected codes: a .csv, .npz or .npy, such as encode writes")
    codes, names = userfiles.read_codes(source, tasks.dimension(trained))
    codes, names = codes[: trained.context.get("limit")], names[: trained.context.get("limit")]
    means = tasks.means_at(trained, codes, key, label, batch_size)
    path, form = Path(source).expanduser(), results.sounding(results.form_of(trained.experiment.spec), render)
    return tasks.Result(results.rendered(means, names, path.stem, form), [path])
