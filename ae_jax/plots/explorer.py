"""A page on which one walks through the space of codes: the examples, and the decoder itself, run in the page."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import figures, pages, plots, programs
from ae_jax.errors import UserError
from ae_jax.plots import scatter

_SIDE = 64  # pixels; larger pictures of examples are shrunk to this
_PIXELS = 8_000_000  # of all pictures together: about 2 MB for digits
_INACTIVE = 0.01  # nats, below which a dimension is folded away


def arrays(model, variables, data, key, *, count: int = 10_000) -> dict[str, np.ndarray]:
    """Of the first `count` examples "codes" [N, D], "points" [N, 2] with "axes" [2], the plane that is walked, "label"
    [N] and "classes" [K] where there are some, "originals" (images uint8 [N, H, W, C]; series float32 [N, T, ...]).
    Of the D dimensions "activity" and what "measure" it is of, "centre" and "spread" of the codes. The decoder as a
    program (`ae_jax.programs`) with its constants: "program", "constants" float16; it reads a code and, where the model
    is "conditional", its class. "notes": what the page has to say of all this. Without data there are no examples.

    Raises UserError for a model that has no code, or decodes more than codes.
    """
    plots.at_least(1, count=count)
    found, notes = _examples(model, variables, data, key, count)
    dims = found["codes"].shape[1]
    if dims == 2 or not len(found["codes"]):
        points, axes = found["codes"][:, :2], [f"z{d}" for d in range(2)]
    elif dims == 1:
        points = np.column_stack([found["codes"], np.random.default_rng(0).uniform(-1, 1, len(found["codes"]))])
        axes = ["z0", "(spread out)"]
    else:
        points, shares = scatter.principal_components(found["codes"])
        axes = [f"principal component {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares)]
    program, constants = _decoder(model, variables, dims)
    return {
        **found,
        "points": points.astype(np.float32),
        "axes": np.array(axes),
        "program": np.array(program),
        "constants": constants.astype(np.float16),
        "shape": np.array(model.spec.shape),
        "conditional": np.array(hasattr(model, "condition")),
        "notes": np.array(notes, dtype=str),
        "limits": figures.limits(model.spec, found["originals"])
        if len(found["codes"])
        else np.array([0, 1], np.float32),
    }


def _examples(model, variables, data, key, count):
    """(arrays of the examples, notes); none of them where the data cannot be had."""

    def per_example(variables, batch, key):
        return {**plots.code_and_rate(model, variables, batch, key), "x": batch["x"]}

    try:
        batches = data["test"]
    except UserError as error:
        dims = _dims(model, variables)
        nothing = {"codes": np.zeros((0, dims), np.float32), "originals": np.zeros((0, *model.spec.shape), np.uint8)}
        flat = {
            "activity": np.ones(dims),
            "measure": np.array("deviation"),
            "centre": np.zeros(dims),
            "spread": np.ones(dims),
        }
        return {**nothing, **flat}, [f"made from the decoder alone: {str(error).splitlines()[0]}"]
    notes, there = [], batches.num_examples
    pictures = _pictures_that_fit(model.spec.shape)
    shown = min(count, there, pictures)
    if shown < there:
        notes.append(f"{shown:,} of {there:,} examples")
    found = plots.gather(per_example, variables, batches, key, shown)
    x = found.pop("x")
    if len(model.spec.shape) == 3:
        x = np.asarray(np.clip(np.round(255 * _shrunk(x)), 0, 255), np.uint8)
        if x.shape[1:3] != model.spec.shape[:2]:
            notes.append(f"pictures of examples at {x.shape[1]}x{x.shape[2]} pixels")
    measure, activity = plots.activity(found)
    labels = {}
    if "label" in found:
        labels = {"label": found["label"], "classes": np.arange(model.spec.classes).astype(str)}
    codes = found["code"]
    statistics = {"centre": codes.mean(axis=0), "spread": codes.std(axis=0)}
    return {
        "codes": codes,
        "originals": x,
        "activity": activity,
        "measure": np.array(measure),
        **statistics,
        **labels,
    }, notes


def _dims(model, variables):
    x = np.zeros((1, *model.spec.shape), np.float32)
    batch = {"x": x, "inputs": x, "mask": np.ones(1, np.float32), "label": np.zeros(1, np.int32)}
    encode = functools.partial(plots.encode, model)
    return jax.eval_shape(encode, variables, batch, jax.random.key(0)).shape[1]


def _pictures_that_fit(shape):
    if len(shape) != 3:
        return _PIXELS // int(np.prod(shape))
    height, width, channels = shape
    return _PIXELS // (min(height, _SIDE) * min(width, _SIDE) * (3 if channels == 3 else 1))


def _shrunk(images):
    """[N, H, W, C] at no more than 64 pixels a side, as near to its proportions as whole pixels allow."""
    scale = min(1, _SIDE / max(images.shape[1:3]))
    sides = [max(1, round(scale * side)) for side in images.shape[1:3]]
    if scale == 1:
        return images
    return np.asarray(jax.image.resize(images, (len(images), *sides, images.shape[-1]), "linear", antialias=True))


def _decoder(model, variables, dims):
    """(program, constants) of (z [D], y [K]) -> the likelihood's mean. Raises UserError where there is none."""
    if getattr(model, "residual", False):
        raise UserError(
            "figure 'explorer' decodes codes alone, and this model adds its inputs\ntry --figures=restoration"
        )

    def mean(z, y):
        batch = {"label": y[None], "mask": jnp.ones(1)}
        return model.apply(variables, (z[None, None],), batch, method="decode").mean[0, 0]

    try:
        return programs.trace(mean, np.zeros(dims, np.float32), np.zeros(max(model.spec.classes, 1), np.float32))
    except programs.Unsupported as error:
        raise UserError(f"this model's decoder cannot run in a page: {error}\ntry --figures=traversals") from None


def figure(arrays):
    """The page."""
    import matplotlib.colors

    data = {name: values for name, values in arrays.items() if name not in ("originals", "program")}
    data |= {"program": str(arrays["program"]), "inactive": _INACTIVE if str(arrays["measure"]) == "kl" else 0.0}
    originals, classes = arrays["originals"], arrays.get("classes", np.array([]))
    if originals.ndim == 4 and len(originals):
        data["sprite"] = pages.sprite(originals)
    else:
        data["series"] = np.asarray(originals, np.float32)
    data["colours"] = [matplotlib.colors.to_hex(colour) for colour in figures.colours(max(len(classes), 1))]
    plain = {name: value.item() if getattr(value, "shape", None) == () else value for name, value in data.items()}
    dims = arrays["codes"].shape[1]
    words = {"examples": f"{len(arrays['codes']):,}", "dims": dims, "notes": list(map(str, arrays["notes"]))}
    return pages.render("explorer.html", plain, **words, conditional=bool(arrays["conditional"]), classes=list(classes))
