"""Scores, one a file: `evaluate(model, variables, data, key, **options) -> {name: float}`.

`BETTER` is {name: "min" or "max"}.

data: {"train": batches, "test": batches}, read lazily; "test" is the split that was asked for.
A headline that is a mean over the examples comes with its standard error, `NAME_se`; what stands beside it (floors,
baselines, single dimensions) may not. A text in place of a number says where numbers come from.
What several scores ask of a model stands here.
"""
