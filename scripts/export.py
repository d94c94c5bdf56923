"""Run `ae-jax export` from this checkout; --help tells its flags."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from ae_jax.commands import cli

    cli.main("export")
