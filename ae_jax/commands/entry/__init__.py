"""The commands, one in each file.

A file has `define_flags(flag_values)` and `main(line)`, which returns the exit status or None. `line` is an
`ae_jax.commands.cli.Line`. The file's docstring is the help text of the command. Modules that need JAX are imported in
`main`, so that --help and messages about wrong flags appear at once.
"""
