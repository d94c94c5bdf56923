"""Scatter plot of latents, coloured by class."""

import numpy as np

from ae_jax.evaluation import projections, requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10_000, projection: str = "pca") -> dict[str, np.ndarray]:
    """Encode examples and lay their latents out in two dimensions.

    Two-dimensional latents are shown as they are, and longer ones are projected. Latents of one dimension lie along the
    first axis. Their second coordinate is the class, jittered so that points do not cover each other.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are shown, from the first on.
      projection: the projection of latents of more than two dimensions, "pca" or "umap".

    Returns:
      "points" [N, 2]; "axes" [2], the labels of the axes; "aspect", "equal" or "auto". If the data have classes, also
      "label" [N] and "classes", their names.
    """
    requirements.at_least(1, scatter_count=count)

    def per_example(variables, batch, key):
        return {"code": queries.encode(model, variables, batch, key), **queries.classes(batch)}

    found = queries.gather(per_example, variables, data.test, key, count)
    codes, labels = found["code"], found.get("label")
    dims, aspect = codes.shape[1], "equal"
    if dims == 1:
        jitter = np.random.default_rng(0).uniform(-0.35, 0.35, len(codes))
        points = np.stack([codes[:, 0], jitter if labels is None else labels + jitter], axis=1)
        axes, aspect = ["$z_0$", "jitter" if labels is None else "class"], "auto"
    elif dims == 2:
        points, axes = codes, ["$z_0$", "$z_1$"]
    else:
        points, axes = projections.plane(codes, projection)
    labelled = {} if labels is None else {"label": labels, "classes": np.array(data.test.spec.class_names)}
    return {"points": points.astype(np.float32), "axes": np.array(axes), "aspect": np.array(aspect), **labelled}


@style.styled
def figure(arrays):
    """Draw a point for each example, in the order of the data, so that no class covers another."""
    points, classes = arrays["points"], arrays.get("classes", ())
    palette = np.array(style.colours(max(len(classes), 1)))
    drawing = style.new(4.5 if len(classes) else 4, 4)
    axes = drawing.add_subplot(xlabel=str(arrays["axes"][0]), ylabel=str(arrays["axes"][1]))
    axes.scatter(
        *points.T,
        # Points shrink where there are many.
        s=np.clip(6000 / len(points), 1.5, 14),
        c=style.of_classes(arrays.get("label", np.zeros(len(points), int)), len(classes)),
        linewidths=0,
        # Where points lie close together, translucent ones show how many there are.
        alpha=0.4 if len(points) > 1000 else 0.8,
        # Thousands of points as vectors would make a PDF large and slow.
        rasterized=len(points) > 2000,
    )
    axes.set_aspect(str(arrays["aspect"]), adjustable="box")
    if len(classes):
        entries = zip(classes, palette, strict=True)
        handles = [axes.plot([], [], "o", color=colour, markersize=4, label=name)[0] for name, colour in entries]
        columns = -(-len(classes) // 25)
        drawing.legend(handles=handles, loc="outside right center", title="class", handletextpad=0.1, ncols=columns)
    return drawing
