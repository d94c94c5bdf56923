"""Verdicts are one-sided, and a result's hash is of what decides it."""

import math

import pytest

from ae_jax import lookup, reproduce
from ae_jax.configuration import load, override
from ae_jax.errors import UserError

ROW = reproduce.Row("simple_ae", "configs/simple_ae.py:mnist")  # expects 0.0914 nats a pixel, lower is better


def verdict(value, row=ROW, metric="bce_nats_per_pixel"):
    entry = {"seconds": {"0": 60.0}, "scores": {"0": {metric: value}}}
    return reproduce.lines(row, {row.name: entry})[0]


@pytest.mark.parametrize(
    ("value", "expected"), [(0.05, "better"), (0.0914, "meets it"), (0.0927, "meets it"), (0.0929, "misses")]
)
def test_verdicts_are_one_sided(value, expected):
    line = verdict(value)
    assert line.verdict == expected and line.passed == (expected != "misses")


def test_larger_is_better_where_the_metric_says_so():
    row = reproduce.Row("vae_mlp", "configs/vae_mlp.py:mnist")  # expects an ELBO of -105.1, tolerance 0.6
    assert verdict(-104.0, row, "elbo").verdict == "better"
    assert verdict(-105.8, row, "elbo").verdict == "misses"


def test_several_seeds_give_mean_and_spread():
    scores = {str(seed): {"bce_nats_per_pixel": value} for seed, value in enumerate((0.08, 0.09, 0.1))}
    (line,) = reproduce.lines(ROW, {"simple_ae": {"seconds": {"0": 1, "1": 2, "2": 3}, "scores": scores}})
    assert math.isclose(line.obtained, 0.09) and math.isclose(line.spread, 0.01) and line.seconds == 2


def test_the_hash_is_of_what_decides_the_result():
    config = load(ROW.config)
    same, other = load(ROW.config), load(ROW.config)
    override(same, "data.dir", "/elsewhere")
    override(same, "train.log_every", "7")
    override(other, "optimizer.learning_rate", "0.002")
    assert reproduce.config_hash(same) == reproduce.config_hash(config) != reproduce.config_hash(other)


def test_every_row_has_expected_values_its_metrics_answer():
    rows = reproduce.rows()
    metrics = [lookup.module("evaluation", name) for name in lookup.choices("evaluation")]
    compared = {e["metric"] for row in rows.values() for e in load(row.config).expected.values() if "metric" in e}
    scores = dict.fromkeys((*compared, *(key for module in metrics for key in module.BETTER)), 1.0)
    stored = dict.fromkeys(rows, {"seconds": {"0": 1.0}, "scores": {"0": scores}})
    for row in rows.values():
        expected = load(row.config).expected
        assert expected, row.name
        assert [line.metric for line in reproduce.lines(row, stored)] == list(expected)


def test_a_row_may_be_compared_with_another():
    """The adversarial autoencoder is to have a twentieth of the plain one's discrepancy, which is run before it."""
    plain, adversarial = reproduce.select(["aae_gaussian"])
    assert plain.name == "aae_plain"
    entry = lambda value: {"seconds": {"0": 1.0}, "scores": {"0": {"mmd2_to_prior": value, "bce_nats_per_pixel": 0.1}}}
    line, *_ = reproduce.lines(adversarial, {"aae_plain": entry(0.4), "aae_gaussian": entry(0.019)})
    assert math.isclose(line.expected, 0.02) and line.passed
    with pytest.raises(UserError, match="aae_plain"):
        reproduce.lines(adversarial, {"aae_gaussian": entry(0.019)})


def test_an_unknown_row_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'simple_ae'"):
        reproduce.select(["simple_aee"])
