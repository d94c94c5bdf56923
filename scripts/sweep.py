"""Run `ae-jax sweep` from this checkout; --help lists its flags."""

import pathlib
import sys

# The checkout comes first, so that its code runs even where another version is installed.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from ae_jax.commands import cli

    cli.main("sweep")
