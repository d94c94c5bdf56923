"""Types: what the run-time check of the tests covers, and data specifications."""

import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from ae_jax.core.distributions import Normal
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import DataSpec, Latent, Outputs


def test_shapes_are_checked_at_run_time():
    assert masked_mean(jnp.ones((3, 2)), jnp.ones(3)).shape == (2,)
    with pytest.raises(jaxtyping.TypeCheckError, match="mask"):
        masked_mean(jnp.ones((3, 2)), jnp.ones(4))


def test_structs_pass_through_transformations():
    """`jax.vmap` rebuilds the structs with placeholders in their fields."""
    q = Normal(jnp.zeros((5, 3, 2)), jnp.zeros((5, 3, 2)))
    z = jnp.zeros((5, 1, 3, 2))
    outputs = Outputs(q, (Latent(z, q),), jnp.zeros((5, 3, 2)), {"extra": jnp.zeros((5, 3))})
    found = jax.vmap(lambda each: each.replace(code=each.likelihood.mean + 1))(outputs)
    assert found.code.shape == (5, 3, 2) and (found.code == 1).all()
    assert jax.eval_shape(lambda each: each, outputs).latents[0].sample.shape == z.shape


def test_a_specification_from_json_equals_its_original():
    assert DataSpec([4, 5, 1], names=["a", "b"]) == DataSpec((4, 5, 1), names=("a", "b"))
    assert hash(DataSpec([4, 5, 1])) == hash(DataSpec((4, 5, 1)))
