"""Scores, one a file: `evaluate(model, variables, data, key, **options) -> {name: float}`.

`BETTER` is {name: "min" or "max"}.

data: {"train": batches, "test": batches}, read lazily; "test" is the split that was asked for.
Every mean comes with its standard error over the examples, `NAME_se`.
"""
