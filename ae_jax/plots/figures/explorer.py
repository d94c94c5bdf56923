"""A web page to explore the latent space.

It shows the examples, and it contains the decoder, which runs in the browser.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import distributions
from ae_jax.core.errors import UserError
from ae_jax.evaluation import projections, requirements
from ae_jax.plots import page_program, pages, queries, style

# Larger pictures are shrunk to this side, in pixels.
_SIDE = 64
# Dimensions with a KL divergence below this, in nats, are folded away.
_INACTIVE = 0.01
# Limits that keep a page below 20 MB, and quick:
_EXAMPLES = 8_000_000  # bytes of all examples, before compression
_GRID = 3_000_000  # bytes of a grid of decoded latents
_NUMBERS = 3_000_000  # numbers of the decoder, two bytes each
_PRODUCTS = 100_000_000  # multiplications of one decoding, about a fifth of a second


def arrays(model, variables, data, key, *, count: int = 10_000, projection: str = "") -> dict[str, np.ndarray]:
    """Collect what the page shows: examples with their latents, and the decoder.

    The decoder is a program for the page (`ae_jax.plots.page_program`). If it cannot run there, or would be too large
    or too slow, the page shows reconstructions of the examples instead and, for two latent dimensions, a grid of
    latents that are decoded here. Without data, there are no examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are shown at most, evenly spread over the split.
      projection: the projection of latents of more than two dimensions, "pca" or "umap"; "" for UMAP if it is
        installed.

    Returns:
      Of the N examples: "number" [N], "codes" [N, D], "points" [N, 2] on the map, "axes" [2], its labels, and
      "originals" (images uint8 [N, H, W, C]; melodies uint8 [N, T]; series float32 [N, T, ...]). If there are classes,
      "label" [N] and "classes" [K].

      Of the D latent dimensions: "activity", and "measure", what it is measured by; "centre" and "spread", the mean and
      the standard deviation over the examples.

      Of the decoder: "program" and "constants" (float16), a function of a latent and a class. In place of these, as far
      as needed, "reconstructions" [N, ...] and "grid" [K * A * A, ...], the decoded latents of each class, with A
      "across" values from one of "places" [2] to the other in either dimension.

      Beside these "shape", "kind" and "limits" of examples, "conditional", whether the model reads the label, and
      "notes", sentences that the page shows.

    Raises:
      UserError: for a model that adds its inputs to what it decodes, or if there is nothing to show.
    """
    requirements.at_least(1, explorer_count=count)
    if model.adds_inputs:
        raise UserError(
            "figure 'explorer' decodes latents alone, and this model adds its inputs to what it decodes\n"
            "use --figures=restoration"
        )
    dims = queries.dimensions(model, variables)
    decoder, lacks = _program(model, variables, dims)
    found, notes = _examples(model, variables, data, key, count, reconstruct=not decoder)
    if not decoder and dims == 2:
        decoder = _grid(model, variables, found)
        notes.append(f"{lacks}: {decoder['across']}x{decoder['across']} places of the plane were decoded beforehand")
    elif not decoder:
        notes.append(f"{lacks}: reconstructions of examples are shown")
        if not len(found["codes"]):
            raise UserError(f"nothing is left to explore: {notes[0]}, and {lacks}\nuse --data=NAME or SOURCE:PATH")
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
    """Return the points [N, 2] of latents [N, D] on the map, and the labels of its axes."""
    dims = codes.shape[1]
    if dims == 1:
        # A random second coordinate keeps points from covering each other.
        jitter = np.random.default_rng(0).uniform(-1, 1, len(codes))
        return np.column_stack([codes, jitter]), ["z0", "(spread out)"]
    if dims == 2 or not len(codes):
        return codes[:, :2], ["z0", "z1"]
    return projections.plane(codes, projection)


def _examples(model, variables, data, key, count, reconstruct):
    """Return the arrays of the examples, and notes for the page.

    If the data cannot be read, there are no examples, and a note says why.

    Args:
      model: the model.
      variables: its parameters and other collections.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are wanted.
      reconstruct: whether reconstructions are needed, for a page without a decoder.
    """
    try:
        batches = data.test
    except UserError as error:
        return _nothing(model, variables), [f"made from the decoder alone: {str(error).splitlines()[0]}"]

    def per_example(variables, batch, key):
        answers = {**queries.code_and_rate(model, variables, batch, key), "originals": batch["x"]}
        if reconstruct:
            # Without "x", because the page shows what the latent alone determines.
            given = {name: batch[name] for name in ("label", "mask") if name in batch}
            likelihood = model.apply(variables, (answers["code"][None],), given, method="decode")
            answers["reconstructions"] = distributions.centre(likelihood)[0]
        return answers

    spec, there, notes = model.spec, batches.num_examples, []
    pictures = 2 if reconstruct else 1
    # An example takes its pictures, and a latent of float32.
    fit = int(_EXAMPLES / (pictures * _bytes(spec) + 4 * queries.dimensions(model, variables)))
    shown = min(count, there, max(fit, 1))
    if shown < there:
        reason = ", to keep the page small" if shown == fit else ""
        notes.append(f"{shown:,} of {there:,} examples, evenly spread{reason}")
    batches, number = batches.spread(shown)
    found = queries.gather(per_example, variables, batches, key, shown)
    measure, activity = queries.activity(found)
    codes, limits = found.pop("code"), style.limits(spec, found["originals"])
    found |= {name: _small(found[name], spec, limits) for name in ("originals", "reconstructions") if name in found}
    if found["originals"].shape[1:3] != spec.shape[:2] and len(spec.shape) == 3:
        height, width = found["originals"].shape[1:3]
        notes.append(f"pictures of examples are shrunk from {spec.shape[0]}x{spec.shape[1]} to {height}x{width} pixels")
    if spec.label_dim:
        # Labels that are vectors have no colours.
        found.pop("label", None)
    elif "label" in found:
        found["classes"] = np.array(spec.class_names, dtype=str)
    found.pop("kl", None)
    statistics = {"centre": codes.mean(axis=0), "spread": codes.std(axis=0), "limits": limits}
    activity = {"activity": activity, "measure": np.array(measure)}
    return {**found, "number": number, "codes": codes, **statistics, **activity}, notes


def _nothing(model, variables):
    """Return the arrays of no examples, with latents distributed as N(0, I)."""
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
    """Return the size of one example in the page in bytes, before compression."""
    if len(spec.shape) != 3:
        return np.prod(spec.shape) * (1 if spec.kind == "events" else 4)
    height, width, channels = spec.shape
    # Greys are stored with four bits each.
    return min(height, _SIDE) * min(width, _SIDE) * (3 if channels == 3 else 0.5)


def _small(values, spec, limits):
    """Return examples as the page stores them: images and melodies as uint8, series as float32.

    Images have at most 64 pixels a side, and keep their proportions as nearly as whole pixels allow.
    """
    if len(spec.shape) != 3:
        return values.astype(np.uint8 if spec.kind == "events" else np.float32)
    scale = min(1, _SIDE / max(values.shape[1:3]))
    if scale < 1:
        sides = [max(1, round(scale * side)) for side in values.shape[1:3]]
        values = jax.image.resize(values, (len(values), *sides, values.shape[-1]), "linear", antialias=True)
    unit = (np.asarray(values, np.float32) - limits[0]) / max(limits[1] - limits[0], 1e-12)
    return np.asarray(np.clip(np.round(255 * unit), 0, 255), np.uint8)


def _program(model, variables, dims):
    """Return the decoder as {"program", "constants"} and "", or nothing and the reason.

    The program is a function of a latent [D] and a class, one-hot [K].
    """

    def centre(z, y):
        batch = {"label": y[None], "mask": jnp.ones(1)}
        return distributions.centre(model.apply(variables, (z[None, None],), batch, method="decode"))[0, 0]

    try:
        inputs = np.zeros(dims, np.float32), np.zeros(max(model.spec.classes, 1), np.float32)
        program, constants = page_program.trace(centre, *inputs)
    except page_program.Unsupported as error:
        return {}, f"the decoder cannot run in a page ({error})"
    if constants.size > _NUMBERS:
        return {}, f"the decoder is too large for a page ({constants.size / 1e6:.1f} million numbers)"
    if (products := page_program.products(program)) > _PRODUCTS:
        return {}, f"the decoder is too slow for a page ({products / 1e6:,.0f} million products a picture)"
    return {"program": np.array(program), "constants": constants.astype(np.float16)}, ""


def _grid(model, variables, found):
    """Decode a square grid of latents that covers the examples: {"grid", "across", "places"}."""
    classes, spec = model.spec.classes if model.reads_label else 1, model.spec
    across = int(np.clip(np.sqrt(_GRID / (classes * _bytes(spec))), 2, 25))
    # A few outliers must not make the grid coarse. Without examples, it covers three standard deviations of N(0, I).
    reach = 1.1 * np.quantile(np.abs(found["codes"]), 0.995) if len(found["codes"]) else 3.0
    places = np.linspace(-reach, reach, across)
    label, z1, z0 = np.meshgrid(np.arange(classes), places, places, indexing="ij")
    codes = np.stack([z0, z1], axis=-1).reshape(-1, 2)
    decoded = queries.decode(model, variables, codes, label.ravel() if model.reads_label else 0)
    return {
        "grid": _small(decoded, spec, found["limits"]),
        "across": np.array(across),
        "places": np.array([-reach, reach]),
    }


def figure(arrays):
    """Make the page."""
    import matplotlib.colors

    count, dims = arrays["codes"].shape
    classes, music = list(arrays.get("classes", ())), str(arrays["kind"]) == "events"
    pictures = {name: arrays[name] for name in ("originals", "reconstructions", "grid") if name in arrays}
    data = {name: value.item() if value.shape == () else value for name, value in arrays.items()}
    data |= {name: _packed(values, name) for name, values in pictures.items()}
    data["inactive"] = _INACTIVE if data["measure"] == "kl" else 0.0
    known = np.arange(max(len(classes), 1))
    # The last colour is that of unknown classes, which are -1.
    colours = style.of_classes(np.append(known, -1), len(known))
    data["colours"] = [matplotlib.colors.to_hex(colour) for colour in colours]
    walks = "program" in arrays or "grid" in arrays
    shown = [("decoded", "decoded", "the decoded latent")] if walks else []
    if count:
        shown += [("example", "example", "the example"), ("reconstruction", "reconstruction", "its reconstruction")]
    words = {"examples": f"{count:,}", "dims": dims, "notes": list(map(str, arrays["notes"])), "classes": classes}
    words |= {"conditional": data["conditional"], "walks": walks, "music": music, "pictures": shown}
    return pages.render("explorer.html", data, **words)


def _packed(values, name):
    if values.ndim != 4 or not len(values):
        return values
    # A grid is interpolated in the page, which few greys would make visible.
    return pages.sprite(values, levels=256 if name == "grid" else 16)
