"""Examples decoded from the user's codes."""

from pathlib import Path

from ae_jax.commands.apply import results, shared, usercodes
from ae_jax.core.errors import UserError


def run(trained, source, key, *, label: tuple = (), batch_size: int = 500, render: bool = False) -> shared.Result:
    """Means of the likelihood: an image a code, under the code's name; or a melody; else one STEM.npy."""
    if not source:
        raise UserError("task 'decode' has no --input\nexpected codes: a .csv, .npz or .npy, such as encode writes")
    found = usercodes.read_codes(source, shared.dimension(trained), trained.context.get("limit"))
    means = shared.means_at(trained, found.codes, key, label, batch_size, found.label)
    path, form = Path(source).expanduser(), results.sounding(results.form_of(trained.experiment.spec), render)
    return shared.Result(results.rendered(means, found.names, path.stem, form), [path])
