"""Tasks on a user's files, one a file: `run(trained, source, key, *, ...) -> Result`.

A task reads files, calls `ae_jax.experiments.using` on their arrays, and returns {file: content}. It writes nothing:
`ae_jax.commands.apply.shared.apply` writes, once nothing can be wrong any more. `userfiles` and `usercodes` beside it
read files, and `results` renders and writes them.

A keyword-only argument becomes a flag --KEYWORD, which means the same in every task that has it. The first sentence of
its entry in the section `Args:` is the help text.

The user's files are what the model reads: nothing corrupts them. Without --input, encode, reconstruct and score read
the run's own data.
"""
