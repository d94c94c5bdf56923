"""Words and mathematics that every other package shares; imports nothing of ae_jax."""
