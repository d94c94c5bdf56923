"""A line in the space of codes from one of the user's examples to another, decoded."""

import numpy as np

from ae_jax.commands.apply import results, shared
from ae_jax.core.errors import UserError


def run(
    trained,
    source,
    key,
    *,
    steps: int = 10,
    spherical: bool = False,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
    render: bool = False,
) -> shared.Result:
    """--input=A,B: means of the likelihood at `steps` codes from that of A to that of B: t = 0 .. 1; 1 step is their
    mean, t = 1/2.

    spherical: whether the codes are sin((1-t) w)/sin(w) z_A + sin(t w)/sin(w) z_B, w the angle between them (Shoemake
        1985, "Animating rotation with quaternion curves"), which stay as far from the origin as codes are; else they
        are (1 - t) z_A + t z_B.

    A label that came with A holds for the whole way.

    Images A_B_0.png, A_B_1.png, ... and A_B.png, all side by side; melodies likewise, A_B.mid one after the other; or
    one array [steps, *shape], of the kind of A.
    """
    sources = [path.strip() for path in source.split(",")]
    if len(sources) != 2 or not all(sources):
        raise UserError(f"task 'interpolate' goes from one example to another, and --input is {source!r}\nexpected A,B")
    if steps < 1:
        raise UserError(f"--steps={steps}\nexpected at least 1")
    if len(label) > 1:
        raise UserError(f"--label={','.join(map(str, label))}\nexpected one class, for the whole way")
    ends = [shared.read(trained, path, resize, track, start_bar) for path in sources]
    for given, path in zip(ends, sources, strict=True):
        if len(given.inputs) != 1:
            raise UserError(
                f"{path} holds {len(given.inputs)} examples: {', '.join(given.names[:20])}\n"
                "expected one: an image, an array of one, or a melody at a --start_bar"
            )
    start, end = (shared.codes_of(trained, given, key, label, batch_size) for given in ends)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None] if steps > 1 else np.full((1, 1), 0.5, np.float32)
    space = trained.experiment.model.space
    codes = _slerp(start, end, t) if spherical else np.asarray(space.geodesic(start[0], end[0], t[:, 0]))
    own = None if ends[0].label is None else np.repeat(ends[0].label, steps, axis=0)
    means = shared.means_at(trained, codes, key, label, batch_size, own)
    stem, form = (f"{ends[0].stem}_{ends[1].stem}", results.sounding(ends[0].form, render))
    files = results.rendered(means, results.numbered(stem, steps), stem, form)
    if form.suffix == ".png":
        files[f"{stem}.png"] = np.concatenate(list(files.values()), axis=1)
    elif form.suffix == ".mid":
        files |= results.melody(means, stem, render)
    both = lambda lines: [line for end in ends for line in lines(end)]
    return shared.Result(files, both(lambda end: end.originals), both(lambda end: end.unreadable))


def _slerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Codes [steps, D] at t [steps, 1] along the arc from `start` to `end`, [1, D] each; a line where they point the
    same way, or opposite ways, between which no arc is the shortest.
    """
    cosine = (start * end).sum() / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-4:
        return (1 - t) * start + t * end
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)
