"""Figures, one in each file, which has the functions `arrays` and `figure`.

`arrays(model, variables, data, key, **options)` returns {name: array}, and `figure(arrays)` returns a Figure.

Every `arrays` takes the trained model, its variables (the parameters and other collections), the `EvalData` of the
evaluation and a random key. The field `test` of the data is the split that --split names. A keyword-only argument
becomes a flag --FIGURE_KEYWORD, and the first sentence of its entry in the section `Args:` is the help text.

`figure` reads the arrays and nothing else. They are stored beside the picture, so everything that is drawn, words
included, is found there. Figures ask models by `ae_jax.plots.queries` and draw by `ae_jax.plots.style`.
"""
