"""`python -m ae_jax COMMAND ...`: the commands of `ae_jax.commands.entry`."""

if __name__ == "__main__":
    from ae_jax.commands import cli

    cli.main()
