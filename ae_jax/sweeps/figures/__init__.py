"""Figures of a sweep, one a file: `arrays(survey, key, *, ...) -> {name: array}`, `figure(arrays) -> Figure`.

survey: the runs that are done, each with its `axes` {config key: text}, `result` {"final": {metric: .}, "best": {.}},
`lines` of metrics.jsonl, `trained()` and `scores(metric)`; and the `metric` that is meant where none is named.
`figure` reads nothing but the arrays, which are kept beside the picture: all that is drawn is in them, words included.
Keywords that mean the same in every figure that has them:

    metric: METRIC at the end of training, or best.METRIC; by default the config's criterion
    axis: the key whose values are told apart; by default the first axis of the sweep that is not the seed
    x: the key whose values are the columns; by default the first axis of the sweep that is not the seed
    y: the key whose values are the rows; by default the next axis of the sweep that is not the seed
"""
