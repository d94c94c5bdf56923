"""Figures, one a file: `arrays(model, variables, data, key, *, ...) -> {name: array}`, `figure(arrays) -> Figure`.

data: {"train": batches, "test": batches, "metrics": lines of metrics.jsonl}, read lazily; "test" is the split wanted.
`figure` reads nothing but the arrays, which are kept beside the picture: all that is drawn is in them, words included.
What the figures share in reading a model stands here; how they draw, in `ae_jax.plots.style`.
"""
