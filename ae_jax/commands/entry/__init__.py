"""The commands, one a file: `define_flags(flag_values)` and `main(line) -> exit status or None`.

A file's docstring is the command's help text. `line` is an `ae_jax.commands.cli.Line`. Whatever needs JAX is
imported in `main`, so that help and wrong flags answer at once.
"""
