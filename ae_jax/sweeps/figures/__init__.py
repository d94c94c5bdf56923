"""Figures of a sweep, one in each file.

A file defines `arrays(survey, key, *, ...) -> {name: array}` and `figure(arrays) -> Figure`. `survey` is an
`ae_jax.sweeps.survey.Survey`, whose runs are done. `figure` reads only the arrays, which are saved beside the picture,
so all that is drawn is in them, texts too. In the shapes of arrays, R is the number of runs.
"""
