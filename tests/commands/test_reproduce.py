"""Verdicts are one-sided, and a result's hash is of what decides it."""

import math

import pytest

from ae_jax.commands import reproduce, tables, verdicts
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments.configuration import load, override

ROW = reproduce.Row("simple_ae", "configs/simple_ae.py:mnist")  # expects 0.0914 nats a pixel, lower is better


def verdict(value, row=ROW, metric="bce_nats_per_pixel"):
    entry = {"seconds": {"0": 60.0}, "scores": {"0": {metric: value}}}
    return verdicts.lines(row, {row.name: entry})[0]


@pytest.mark.parametrize(
    ("value", "expected"), [(0.085, "better"), (0.0914, "meets it"), (0.0927, "meets it"), (0.0929, "misses")]
)
def test_verdicts_are_one_sided(value, expected):
    line = verdict(value)
    assert line.verdict == expected and line.passed == (expected != "misses")


def test_what_is_a_tenth_better_than_anybody_had_is_not_believed():
    assert verdict(0.08).verdict.startswith("suspicious") and not verdict(0.08).passed


def test_seeds_of_one_config_stand_beside_each_other(tmp_path):
    scores = lambda value, name="mse_per_pixel": {name: value}
    one = lambda value, hashed="a", name="mse_per_pixel": {
        **{"config": ROW.config, "hash": hashed, "device": ""},
        **{"seconds": 1, "scores": scores(value, name)},
    }
    results = tmp_path / "results.json"
    reproduce.record(ROW, {0: one(0.08), 1: one(0.09)}, results)
    assert reproduce.record(ROW, {1: one(0.07)}, results)["simple_ae"]["scores"] == {
        "0": scores(0.08),
        "1": scores(0.07),
    }
    assert reproduce.record(ROW, {0: one(0.06, "b")}, results)["simple_ae"]["scores"] == {"0": scores(0.06)}
    more = one(0.05, "b", "psnr_db")  # of a metric that others were not asked for
    assert reproduce.record(ROW, {1: more}, results)["simple_ae"]["scores"] == {"1": scores(0.05, "psnr_db")}
    assert list(reproduce.seeds(reproduce.rows()["conv_vae_2d"], 2)) == [9, 10]


def test_larger_is_better_where_the_metric_says_so():
    row = reproduce.Row("vae_mlp", "configs/vae_mlp.py:mnist")  # expects an ELBO of -105.1, tolerance 0.6
    assert verdict(-104.0, row, "elbo").verdict == "better"
    assert verdict(-105.8, row, "elbo").verdict == "misses"


def test_several_seeds_give_mean_and_spread():
    scores = {str(seed): {"bce_nats_per_pixel": value} for seed, value in enumerate((0.08, 0.09, 0.1))}
    (line,) = verdicts.lines(ROW, {"simple_ae": {"seconds": {"0": 1, "1": 2, "2": 3}, "scores": scores}})
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
    metrics = [lookup.module("metrics", name) for name in lookup.choices("metrics")]
    compared = {e["metric"] for row in rows.values() for e in load(row.config).expected.values() if "metric" in e}
    scores = dict.fromkeys((*compared, *(key for module in metrics for key in module.BETTER)), 1.0)
    stored = dict.fromkeys(rows, {"seconds": {"0": 1.0}, "scores": {"0": scores}})
    for row in rows.values():
        expected = load(row.config).expected
        assert expected, row.name
        assert [line.metric for line in verdicts.lines(row, stored)] == list(expected)


def test_a_row_may_be_compared_with_another():
    """The adversarial autoencoder is to have a twentieth of the plain one's discrepancy, which is run before it."""
    plain, adversarial = reproduce.select(["aae_gaussian"])
    assert plain.name == "aae_plain"
    others = {"mmd2_prior_to_prior": 0.001, "bce_nats_per_pixel": 0.1}
    entry = lambda value: {"seconds": {"0": 1.0}, "scores": {"0": {"mmd2_to_prior": value, **others}}}
    lines = verdicts.lines(adversarial, {"aae_plain": entry(0.4), "aae_gaussian": entry(0.019)})
    line = next(line for line in lines if line.metric == "mmd2_to_prior")
    assert math.isclose(line.expected, 0.02) and line.passed
    with pytest.raises(UserError, match="aae_plain"):
        verdicts.lines(adversarial, {"aae_gaussian": entry(0.019)})


def test_what_is_not_judged_stands_beside_and_passes():
    row = reproduce.rows()["iwae_vae_k1_short"]  # the paper's 86.76 nats took 27 times as long
    entry = lambda nll: {"seconds": {"0": 60.0}, "scores": {"0": {"nll": nll, "active_units": 18.0}}}
    found = {line.metric: line for line in verdicts.lines(row, {row.name: entry(95.0)})}
    assert found["active_units"].verdict == "not judged" and found["active_units"].passed
    assert found["active_units"].expected == 19 and (found["nll"].expected, found["nll"].verdict) == (89.74, "misses")
    full = verdicts.lines(reproduce.rows()["iwae_vae_k1"], {"iwae_vae_k1": entry(95.0)})
    assert {line.metric: line.verdict for line in full} == {"nll": "misses", "active_units": "not judged"}


def test_a_table_shows_rows_as_the_paper_does():
    table = reproduce.tables()["iwae_table1"]
    names = [row.name for row in reproduce.select(["iwae_table1"])]
    assert len(names) == 10 and names[0] == "iwae_vae_k1" and names[-1] == "iwae_iwae_k50_2layers"
    entry = {"seconds": {"0": 1.0}, "scores": {"0": {"nll": 87.0, "active_units": 20.0}}}
    head, _, *body = tables.grid(table, {"iwae_vae_k1": entry}, markdown=True).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *body)]
    assert cells[0][2:4] == ["VAE k=1", "VAE k=5"]
    assert [line[2] for line in cells[1:4]] == ["86.76 (19)", "87.00 (20)", "+0.24"]
    assert [line[3] for line in cells[1:4]] == ["86.47 (20)", "-", "-"]
    assert cells[4][0] == "2 stochastic layers" and cells[4][2] == "85.33 (21)"


def test_a_table_of_what_nobody_published_shows_what_seeds_obtained():
    table = reproduce.tables()["music_16bar"]
    scores = [{"accuracy_teacher_forced": 0.8, "accuracy_argmax": 0.7, "kl_bits": 250.0}]
    scores += [{"accuracy_teacher_forced": 0.9, "accuracy_argmax": 0.8, "kl_bits": 260.0}]
    stored = {"music_vae_16bar_flat": {"scores": dict(enumerate(scores))}}
    head, _, *body = tables.grid(table, stored, markdown=True).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *body)]
    assert cells[0] == ["", "", "hierarchical", "flat"] and len(cells) == 1 + len(table["lines"])
    assert cells[1][1:] == ["obtained", "-", "0.75 ± 0.071 (0.85) (255)"]  # sqrt(0.005) = 0.0707


def test_a_name_is_that_of_a_row_or_else_of_a_group():
    names = lambda *given: [row.name for row in reproduce.select(list(given))]
    assert names("denoising_ae") == ["denoising_ae"]
    assert len(reproduce.groups()["iwae_table1_short"]) == 5  # IWAE with one sample is the VAE
    assert names("lossy_ae") == ["lossy_cross_entropy", "lossy_squared_error", "lossy_absolute_error"]
    assert names("aae_gaussian") == ["aae_plain", "aae_gaussian"]  # and what it is compared with


def test_an_unknown_row_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'simple_ae'"):
        reproduce.select(["simple_aee"])
