"""A page on which one walks through the space of codes: the examples, and the decoder itself, run in the page."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import distributions
from ae_jax.core.errors import UserError
from ae_jax.evaluation import projections
from ae_jax.plots import page_program, pages, queries, style

_SIDE = 64  # pixels; larger pictures are shrunk to this
_INACTIVE = 0.01  # nats, below which a dimension is folded away
# What a page may hold, so that it stays under 20 MB, and is quick:
_EXAMPLES = 8_000_000  # bytes of all examples, before they are compressed
_GRID = 3_000_000  # bytes of the places decoded beforehand
_NUMBERS = 3_000_000  # of the decoder, two bytes each
_PRODUCTS = 100_000_000  # of one decoding: a fifth of a second or so


def arrays(model, variables, data, key, *, count: int = 10_000, projection: str = "") -> dict[str, np.ndarray]:
    """Of `count` examples, evenly spread: their "number" [N], "codes" [N, D], "points" [N, 2] with "axes" [2], the
    plane that is walked, "label" [N] and "classes" [K] where there are some, "originals" (images uint8 [N, H, W, C];
    melodies uint8 [N, T]; series float32 [N, T, ...]). Of the D dimensions "activity" and what "measure" it is of,
    "centre" and "spread" of the codes. "notes": what the page says of all this. Without data there are no examples.

    The decoder is a program (`ae_jax.plots.page_program`) with its constants: "program", "constants" float16; it reads
    a code and, where the model is "conditional", its class. In place of one that cannot run in a page, or would be too
    large or too slow there, stand "reconstructions" [N, ...] of the examples and, where D is 2, a "grid"
    [K * A * A, ...] of what it makes of places, "across" A, from one of "places" [2] to the other either way, in each
    class that it reads.

    projection: of codes of more than two dimensions, "pca" or "umap"; "" takes UMAP where it is installed.
    Raises UserError for a model that decodes more than codes, or when nothing is left to be shown.
    """
    queries.at_least(1, count=count)
    if model.adds_inputs:
        raise UserError(
            "figure 'explorer' decodes codes alone, and this model adds its inputs\ntry --figures=restoration"
        )
    dims = queries.dimensions(model, variables)
    decoder, lacks = _program(model, variables, dims)
    found, notes = _examples(model, variables, data, key, count, reconstruct=not decoder)
    if not decoder and dims == 2:
        decoder = _grid(model, variables, found)
        notes.append(f"{lacks}: {decoder['across']}x{decoder['across']} places of the plane were decoded beforehand")
    elif not decoder:
        notes.append(f"{lacks}: what is shown are reconstructions of examples")
        if not len(found["codes"]):
            raise UserError(f"nothing is left to explore: {notes[0]}, and {lacks}\ntry --data=NAME or SOURCE:PATH")
    points, axes = _points(found["codes"], projection)
    return {
        **found,
        **decoder,
        "points": points.astype(np.float32),
        "axes": np.array(axes),
        "shape": np.array(model.spec.shape),
        "kind": np.array(model.spec.kind),
        "conditional": np.array(model.reads_label),
        "notes": np.array(notes, dtype=str),
    }


def _points(codes, projection):
    """([N, 2], what the two axes are)."""
    dims = codes.shape[1]
    if dims == 1:
        return np.column_stack([codes, np.random.default_rng(0).uniform(-1, 1, len(codes))]), ["z0", "(spread out)"]
    if dims == 2 or not len(codes):
        return codes[:, :2], ["z0", "z1"]
    return projections.plane(codes, projection)


def _examples(model, variables, data, key, count, reconstruct):
    """(arrays of the examples, notes); none of them where the data cannot be had."""
    try:
        batches = data.test
    except UserError as error:
        return _nothing(model, variables), [f"made from the decoder alone: {str(error).splitlines()[0]}"]

    def per_example(variables, batch, key):
        answers = {**queries.code_and_rate(model, variables, batch, key), "originals": batch["x"]}
        if reconstruct:
            given = {name: batch[name] for name in ("label", "mask") if name in batch}  # no "x": of the code alone
            likelihood = model.apply(variables, (answers["code"][None],), given, method="decode")
            answers["reconstructions"] = distributions.centre(likelihood)[0]
        return answers

    spec, there, notes = model.spec, batches.num_examples, []
    fit = int(_EXAMPLES / ((2 if reconstruct else 1) * _bytes(spec) + 4 * queries.dimensions(model, variables)))
    shown = min(count, there, max(fit, 1))
    if shown < there:
        notes.append(f"{shown:,} of {there:,} examples, evenly spread" + (", to keep the page small" * (shown == fit)))
    batches, number = batches.spread(shown)
    found = queries.gather(per_example, variables, batches, key, shown)
    measure, activity = queries.activity(found)
    codes, limits = found.pop("code"), style.limits(spec, found["originals"])
    found |= {name: _small(found[name], spec, limits) for name in ("originals", "reconstructions") if name in found}
    if found["originals"].shape[1:3] != spec.shape[:2] and len(spec.shape) == 3:
        height, width = found["originals"].shape[1:3]
        notes.append(f"pictures of examples at {height}x{width} pixels, of {spec.shape[0]}x{spec.shape[1]}")
    if spec.label_dim:
        found.pop("label", None)  # colours are for classes
    elif "label" in found:
        found["classes"] = np.array(spec.class_names, dtype=str)
    found.pop("kl", None)
    statistics = {"centre": codes.mean(axis=0), "spread": codes.std(axis=0), "limits": limits}
    activity = {"activity": activity, "measure": np.array(measure)}
    return {**found, "number": number, "codes": codes, **statistics, **activity}, notes


def _nothing(model, variables):
    """The arrays of no examples: codes are supposed to be spread as N(0, I) is."""
    dims, spec = queries.dimensions(model, variables), model.spec
    return {
        "number": np.zeros(0, int),
        "codes": np.zeros((0, dims), np.float32),
        "originals": np.zeros((0, *spec.shape), np.uint8),
        "classes": np.array(spec.class_names, dtype=str),
        "activity": np.ones(dims),
        "measure": np.array("deviation"),
        "centre": np.zeros(dims),
        "spread": np.ones(dims),
        "limits": np.array([0, 1], np.float32),
    }


def _bytes(spec):
    """What one example takes, before it is compressed: greys are four bits each."""
    if len(spec.shape) != 3:
        return np.prod(spec.shape) * (1 if spec.kind == "events" else 4)
    height, width, channels = spec.shape
    return min(height, _SIDE) * min(width, _SIDE) * (3 if channels == 3 else 0.5)


def _small(values, spec, limits):
    """Images as uint8, at no more than 64 pixels a side, as near to their proportions as whole pixels allow; melodies
    as uint8; series as they are."""
    if len(spec.shape) != 3:
        return values.astype(np.uint8 if spec.kind == "events" else np.float32)
    scale = min(1, _SIDE / max(values.shape[1:3]))
    if scale < 1:
        sides = [max(1, round(scale * side)) for side in values.shape[1:3]]
        values = jax.image.resize(values, (len(values), *sides, values.shape[-1]), "linear", antialias=True)
    unit = (np.asarray(values, np.float32) - limits[0]) / max(limits[1] - limits[0], 1e-12)
    return np.asarray(np.clip(np.round(255 * unit), 0, 255), np.uint8)


def _program(model, variables, dims):
    """({"program", "constants"} of (z [D], y [K]) -> what stands for the likelihood, ""), or ({}, why not)."""

    def shown(z, y):
        batch = {"label": y[None], "mask": jnp.ones(1)}
        return distributions.centre(model.apply(variables, (z[None, None],), batch, method="decode"))[0, 0]

    try:
        inputs = np.zeros(dims, np.float32), np.zeros(max(model.spec.classes, 1), np.float32)
        program, constants = page_program.trace(shown, *inputs)
    except page_program.Unsupported as error:
        return {}, f"the decoder cannot run in a page ({error})"
    if constants.size > _NUMBERS:
        return {}, f"the decoder is too large for a page ({constants.size / 1e6:.1f} million numbers)"
    if (products := page_program.products(program)) > _PRODUCTS:
        return {}, f"the decoder is too slow for a page ({products / 1e6:,.0f} million products a picture)"
    return {"program": np.array(program), "constants": constants.astype(np.float16)}, ""


def _grid(model, variables, found):
    """{"grid", "across", "places"}: the decoder's pictures of places about the codes, or where N(0, I) has its mass."""
    classes, spec = model.spec.classes if model.reads_label else 1, model.spec
    across = int(np.clip(np.sqrt(_GRID / (classes * _bytes(spec))), 2, 25))
    reach = 1.1 * np.quantile(np.abs(found["codes"]), 0.995) if len(found["codes"]) else 3.0
    label, z1, z0 = np.meshgrid(np.arange(classes), *2 * [np.linspace(-reach, reach, across)], indexing="ij")
    codes = np.stack([z0, z1], axis=-1).reshape(-1, 2)
    decoded = queries.decode(model, variables, codes, label.ravel() if model.reads_label else 0)
    return {
        "grid": _small(decoded, spec, found["limits"]),
        "across": np.array(across),
        "places": np.array([-reach, reach]),
    }


def figure(arrays):
    """The page."""
    import matplotlib.colors

    count, dims = arrays["codes"].shape
    classes, music = list(arrays.get("classes", ())), str(arrays["kind"]) == "events"
    pictures = {name: arrays[name] for name in ("originals", "reconstructions", "grid") if name in arrays}
    data = {name: value.item() if value.shape == () else value for name, value in arrays.items()}
    data |= {name: _packed(values, name) for name, values in pictures.items()}
    data["inactive"] = _INACTIVE if data["measure"] == "kl" else 0.0
    known = np.arange(max(len(classes), 1))
    colours = style.of_classes(np.append(known, -1), len(known))  # at last that of unknown classes, which are -1
    data["colours"] = [matplotlib.colors.to_hex(colour) for colour in colours]
    walks = "program" in arrays or "grid" in arrays
    shown = [("decoded", "decoded", "what the decoder makes of the code")] * walks
    if count:
        shown += [("example", "example", "the example"), ("reconstruction", "reconstruction", "its reconstruction")]
    words = {"examples": f"{count:,}", "dims": dims, "notes": list(map(str, arrays["notes"])), "classes": classes}
    words |= {"conditional": data["conditional"], "walks": walks, "music": music, "pictures": shown}
    return pages.render("explorer.html", data, **words)


def _packed(values, name):
    if values.ndim != 4 or not len(values):
        return values
    return pages.sprite(values, levels=256 if name == "grid" else 16)
