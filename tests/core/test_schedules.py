"""Schedules against numpy, inside and outside of compiled programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core import schedules
from ae_jax.core.errors import UserError

STEPS = np.array([0, 1, 3, 5, 9, 10, 15, 20, 1000])


def clipped(step, steps):
    return np.minimum(step / steps, 1)


FORMS = {
    "0.5": lambda i: 0.5 + 0 * i,
    "-2e-3": lambda i: -2e-3 + 0 * i,
    "linear:0.5:-1:10": lambda i: 0.5 - 1.5 * clipped(i, 10),
    "cosine:1:0.1:10": lambda i: 0.1 + 0.9 * (1 + np.cos(np.pi * clipped(i, 10))) / 2,
    "cyclic:0:4:10": lambda i: 4 * np.minimum(i % 10 / 5, 1),
    "sigmoid:4": lambda i: 1 - 4 / (4 + np.exp(i / 4)),
    "optax.polynomial_schedule(init_value=1.0, end_value=0.5, power=2, transition_steps=10)": (
        lambda i: 0.5 + 0.5 * (1 - clipped(i, 10)) ** 2
    ),
    "optax.piecewise_constant_schedule(init_value=1.0, boundaries_and_scales={5: 0.1})": (
        lambda i: np.where(i < 5, 1, 0.1)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_schedules_are_numpys(form):
    tree = {"a": schedules.parse(form), "b": jnp.float32(7)}
    compiled = jax.jit(schedules.at)
    for step in STEPS:
        for values in (schedules.at(tree, step), compiled(tree, jnp.int32(step))):
            assert values["a"].dtype == jnp.float32
            np.testing.assert_allclose(values["a"], FORMS[form](step), rtol=1e-5, atol=1e-6)
            assert values["b"] == 7


@pytest.mark.parametrize(
    ("form", "last"), [("0.3", 0.3), ("linear:0.5:-1:10", -1), ("cosine:1:0.1:10", 0.1), ("cyclic:0:4:7", 4)]
)
def test_in_the_end_there_is_what_a_schedule_goes_to(form, last):
    assert schedules.in_the_end({"a": schedules.parse(form)})["a"] == pytest.approx(last)


@pytest.mark.parametrize("number", [3, 0.25, -1e-8, 0, 16777216, 3e38])
def test_a_number_stays_what_it_is_to_the_bit(number):
    for step in (0, 7, 10**6):
        value = jax.jit(schedules.at)(schedules.parse(number), step)
        assert value.dtype == jnp.float32 and value.tobytes() == np.float32(number).tobytes()


def test_one_program_serves_numbers_and_schedules_of_all_kinds():
    texts = ["linear:0:1:10", "linear:1:0:20", 2, "cosine:1:0:10", "cyclic:0:4:10", "sigmoid:4"]
    expected = [0.5, 0.75, 2, 0.5, 4, 1 - 4 / (4 + np.exp(5 / 4))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(schedules.parse, texts))
    np.testing.assert_allclose(jax.vmap(schedules.at, in_axes=(0, None))(stacked, 5), expected, rtol=1e-6)
    compiled = jax.jit(lambda schedule: schedules.at(schedule, 5))
    np.testing.assert_allclose([compiled(schedules.parse(text)) for text in texts], expected, rtol=1e-6)
    assert compiled._cache_size() == 1


BAD = {
    "linear:0:1": "linear:FROM:TO:STEPS",
    "linear:0:1:2:3": "linear:FROM:TO:STEPS",
    "linear:0:one:10": "cyclic:FROM:TO:PERIOD",
    "linear:0:nan:10": "is not a schedule",
    "linear:0:1:0": "must be positive",
    "sigmoid:-1": "must be positive",
    "lineal:0:1:10": "sigmoid:RATE",
    "": "expected a number",
    "nan": "is not a schedule",
    "optax.polynomial_schedul(init_value=1.0)": "did you mean 'polynomial_schedule'",
    "optax.polynomial_schedule(start=1.0)": "refuses",
    "optax.polynomial_schedule(1.0)": "cannot be read",
    "optax.contrib.polynomial_schedule(init_value=1.0)": "cannot be read",
    "optax.scale_by_schedule(step_size_fn=1.0)": "unknown schedule of Optax 'scale_by_schedule'",
    "optax.join_schedules(schedules=(), boundaries=())": "unknown schedule of Optax 'join_schedules'",
    "optax.polynomial_schedule(init_value=open('x'))": "cannot be read",
    "optax.polynomial_schedule(": "cannot be read",
    True: "not a number",
    float("inf"): "not a number",
    (1, 2): "not a number",
}


@pytest.mark.parametrize("bad", BAD)
def test_mistakes_are_explained(bad):
    with pytest.raises(UserError, match=BAD[bad].replace(".", r"\.")):
        schedules.parse(bad)
