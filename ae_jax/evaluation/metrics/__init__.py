"""Metrics, one a file: `evaluate(model, variables, data, key, **options) -> {name: float}`.

Every `evaluate` takes the trained model, its variables (the parameters and other collections), the `EvalData` of the
evaluation and a random key. The field `test` of the data is the split that --split names. A keyword-only argument
becomes a flag --METRIC_KEYWORD, and the first sentence of its entry in the section `Args:` is the help text.

`BETTER` is {name: "min" or "max"}: whether smaller or larger values are better.

A headline that is a mean over the examples comes with its standard error, `NAME_se`. Floors, baselines and values of
single dimensions may come without one. A text in place of a number is a digest of what the numbers depend on.
"""
