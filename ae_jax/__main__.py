"""Run a command: `python -m ae_jax COMMAND ...`, the same as `ae-jax COMMAND ...`."""

if __name__ == "__main__":
    from ae_jax.commands import cli

    cli.main()
