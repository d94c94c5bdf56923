"""A straight line in the space of codes from one of the user's examples to another, decoded."""

import numpy as np

from ae_jax import results, tasks
from ae_jax.errors import UserError


def run(
    trained, source, key, *, steps: int = 10, resize: bool = False, label: tuple = (), batch_size: int = 500
) -> tasks.Result:
    """--input=A,B: means of the likelihood at the codes (1 - t) z_A + t z_B, `steps` values of t from 0 to 1.

    Images A_B_0.png, A_B_1.png, ... and A_B.png, all side by side; or one array [steps, *shape], of the kind of A.
    """
    sources = [path.strip() for path in source.split(",")]
    if len(sources) != 2 or not all(sources):
        raise UserError(f"task 'interpolate' goes from one example to another, and --input is {source!r}\nexpected A,B")
    if steps < 2:
        raise UserError(f"--steps={steps}\nexpected at least 2")
    if len(label) > 1:
        raise UserError(f"--label={','.join(map(str, label))}\nexpected one class, for the whole way")
    ends = [tasks.read(trained, path, resize) for path in sources]
    for end, path in zip(ends, sources, strict=True):
        if len(end.inputs) != 1:
            raise UserError(f"{path} holds {len(end.inputs)} examples\nexpected one: an image, or an array of one")
    start, end = (tasks.codes_of(trained, end, key, label, batch_size) for end in ends)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    means = tasks.means_at(trained, (1 - t) * start + t * end, key, label, batch_size)
    stem, form = f"{ends[0].stem}_{ends[1].stem}", ends[0].form
    files = results.rendered(means, results.numbered(stem, steps), stem, form)
    if form.suffix == ".png":
        files[f"{stem}.png"] = np.concatenate(list(files.values()), axis=1)
    return tasks.Result(files, [path for end in ends for path in end.originals])
