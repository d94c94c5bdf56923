"""What a trained model does with its user's files, one task a file: `run(trained, source, key, *, ...) -> Result`.

trained: an `ae_jax.experiments.analysis.Trained`; source: what --input says, "" where it was not given; key: of all
that is drawn.
Every keyword is a flag --KEYWORD made from the signature, and means the same in every task that has it:

    resize: whether images of another size are stretched to the model's, and coloured ones made grey where need be
    label: classes for a conditional model: one for all examples, or several taken in turn; else it is given those of an
        .npz, the `label` [N] of classes or [N, L] of vectors, as its training data had
    batch_size: examples at a time
    track: which of a MIDI file's voices, as the list has them that is printed where there are several
    start_bar: the bar of a MIDI file to begin at, counted from 1 as if all were of 4/4; else it is read from beginning
        to end, in pieces
    render: whether melodies are also written as sound, .wav

A task answers {file: content} and writes nothing; `apply` writes, once nothing can be wrong any more. The user's files
are what the model reads: nothing corrupts them. Without --input, encode and reconstruct read the run's own data.
What the tasks share stands in `ae_jax.commands.apply.shared`; how files are read and written, in `userfiles` and
`results` beside it.
"""
