"""Verdicts follow the rules of the page of results, and a result's hash is of what decides it."""

import math

import numpy as np
import pytest
from scipy import stats

from ae_jax.commands import reproduce, tables, verdicts
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments.configuration import load, override

ROW = reproduce.Row("simple_ae", "configs/simple_ae.py:mnist")  # expects about 0.09 nats a pixel, lower is better


ERROR = 0.0004


def entry(*values, metric="bce_nats_per_pixel", se=ERROR):
    """An entry of the results file, with a seed for each value."""
    scores = {str(seed): {metric: value, f"{metric}_se": se} for seed, value in enumerate(values)}
    return {"seconds": dict.fromkeys(scores, 60.0), "scores": scores}


def judged(*values, expected=None, regression=None, se=ERROR):
    """The line of a row that expects 0.0900 of a metric whose minimum is best, unless `expected` says otherwise."""
    config = load("configs/simple_ae.py:smoke")
    expected = {"value": 0.09, "source": "x", **(expected or {})}
    config.unlock()
    config.regression = {"bce_nats_per_pixel": regression} if regression else {}
    (line,) = verdicts.judge("row", config, {"bce_nats_per_pixel": expected}, {"row": entry(*values, se=se)})
    return line


# --- verdicts ---------------------------------------------------------------------------------------------------------


def test_the_allowance_is_two_errors_of_examples_seeds_and_the_published_value():
    values = (0.0900, 0.0902, 0.0910)
    wanted = 2 * np.sqrt(ERROR**2 + stats.sem(values) ** 2 + 0.0003**2)
    line = judged(*values, expected={"value": 0.08973, "se": 0.0003})
    assert line.allowance == pytest.approx(wanted) and line.seeds == 3
    assert line.obtained == pytest.approx(np.mean(values)) and line.spread == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.99, "passes"), (1.01, "misses"), (-2.9, "passes"), (-3.1, "flagged: explain why it is better")],
)
def test_worse_by_more_than_the_allowance_misses_and_better_by_three_is_flagged(shift, verdict):
    values = np.array([0.0899, 0.09, 0.0901])
    allowance = judged(*values, expected={"value": 0.09000001}).allowance
    line = judged(*(values + shift * allowance), expected={"value": 0.09000001})
    assert line.verdict == verdict and line.passed == (verdict == "passes")


def test_an_explanation_lifts_the_flag():
    assert judged(0.07, 0.0701, 0.0702).verdict.startswith("flagged")
    line = judged(0.07, 0.0701, 0.0702, expected={"explained": "another optimiser"})
    assert line.passed and "explained" in line.verdict


@pytest.mark.parametrize(("figure", "half"), [(88.71, 0.005), (104, 0.5), (-0.09, 0.005), (1.5e-3, 0.00005)])
def test_half_a_unit_of_the_last_place(figure, half):
    assert verdicts.half_a_unit(figure) == pytest.approx(half)


def test_a_rounded_figure_allows_for_its_rounding():
    """0.09 may be a rounded 0.0949."""
    assert judged(0.0949, 0.09495, 0.0949).passed and not judged(0.0951, 0.0952, 0.0951).passed


def test_one_seed_is_judged_only_by_an_earlier_deviation():
    assert judged(0.2).verdict == "one seed, not judged" and judged(0.2).passed
    earlier = judged(0.0907, regression={"value": 0.0907, "sd": 0.0002, "seeds": 3}, expected={"value": 0.09001})
    assert earlier.allowance == pytest.approx(2 * np.hypot(ERROR, 0.0002)) and earlier.verdict == "passes"


@pytest.mark.parametrize(
    ("shift", "trend"), [(0.9, "as before"), (-0.9, "as before"), (1.1, "changed"), (-1.1, "changed")]
)
def test_earlier_values_are_judged_on_both_sides(shift, trend):
    allowance = 2 * 0.001 * np.sqrt(1 / 2 + 1 / 3)
    values = 0.09 + shift * allowance + np.array([-1e-6, 1e-6])
    line = judged(*values, regression={"value": 0.09, "sd": 0.001, "seeds": 3}, expected={"judged": False})
    assert line.trend == trend and line.passed == (trend == "as before") and line.verdict == "not judged"


def test_rows_on_the_same_seeds_are_compared_in_pairs():
    """The seeds of both rows vary together; only their differences count."""
    mine, other = entry(0.10, 0.12, 0.14, se=0.0), entry(0.101, 0.1211, 0.1412, se=0.0)
    config = load("configs/simple_ae.py:smoke")
    expectations = {"bce_nats_per_pixel": {"row": "other", "source": "x"}}
    (line,) = verdicts.judge("mine", config, expectations, {"mine": mine, "other": other})
    assert line.allowance == pytest.approx(2 * stats.sem([0.001, 0.0011, 0.0012])) and line.verdict == "passes"
    (reversed_line,) = verdicts.judge(
        "other", config, {"bce_nats_per_pixel": {"row": "mine", "source": "x"}}, {"mine": mine, "other": other}
    )
    assert reversed_line.verdict == "misses"


def test_a_baseline_may_be_exceeded_by_any_amount():
    config = load("configs/denoising_ae.py:smoke")
    scores = {"psnr_db": 20.0, "baseline_psnr_db": 5.0}
    stored = {
        "row": {"seconds": {"0": 1, "1": 1}, "scores": {"0": scores, "1": {"psnr_db": 21.0, "baseline_psnr_db": 5.1}}}
    }
    expectations = {"psnr_db": {"metric": "baseline_psnr_db", "source": "noise"}}
    (line,) = verdicts.judge("row", config, expectations, stored)
    assert line.expected == pytest.approx(5.05) and line.verdict == "passes"


# --- the results file -------------------------------------------------------------------------------------------------


def test_seeds_of_one_config_stand_beside_each_other(tmp_path):
    scores = lambda value, name="mse_per_pixel": {name: value}
    one = lambda value, hashed="a", name="mse_per_pixel": {
        "config": ROW.config,
        "hash": hashed,
        "device": "",
        "seconds": 1,
        "scores": scores(value, name),
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


def test_the_hash_is_of_what_decides_the_result():
    config = load(ROW.config)
    same, other = load(ROW.config), load(ROW.config)
    override(same, "data.dir", "/elsewhere")
    override(same, "train.log_every", "7")
    override(other, "optimizer.learning_rate", "0.002")
    assert reproduce.config_hash(same) == reproduce.config_hash(config) != reproduce.config_hash(other)


def test_the_hash_is_of_zeros_and_of_the_rules_of_a_metric_too(monkeypatch):
    config, other = load(ROW.config), load(ROW.config)
    override(other, "corruption.level", "0")
    hashed = reproduce.config_hash(config)
    assert hashed != reproduce.config_hash(other)
    other.unlock()
    other.corruption.level = None
    assert hashed == reproduce.config_hash(other)
    monkeypatch.setattr(lookup.module("metrics", "bce"), "PROTOCOL", 2, raising=False)
    assert hashed != reproduce.config_hash(config)
    monkeypatch.setattr(lookup.module("metrics", "nll"), "PROTOCOL", 2, raising=False)
    monkeypatch.delattr(lookup.module("metrics", "bce"), "PROTOCOL")
    assert hashed == reproduce.config_hash(config)


def test_a_score_that_is_expected_but_slow_is_computed_at_the_end():
    row = reproduce.rows()["vamp_standard"]
    config = load(row.config)
    assert config.eval.metrics == ("elbo",) and reproduce.metrics_of(config) == ("elbo", "nll")


def test_every_row_has_values_that_its_metrics_give():
    rows = reproduce.rows()
    for row in rows.values():
        config = load(row.config)
        expected = config.expected
        compared = [one["metric"] for one in expected.values() if "metric" in one]
        modules = [lookup.module("metrics", name) for name in reproduce.metrics_of(config)]
        assert {*expected, *config.regression} <= {key for module in modules for key in module.BETTER}, row.name
        assert expected or config.regression, row.name
        assert all(one["row"] in rows for one in expected.values() if "row" in one)
        # A number judges only with a source; a baseline comes from a row of its own or from the same run.
        assert all(("value" in one) != ("row" in one or "metric" in one) for one in expected.values()), row.name
        assert all(name.endswith(("_share", "accuracy")) or "prior" in name or name in REFERENCES for name in compared)


REFERENCES = {"baseline_psnr_db", "pca_mse_per_pixel", "accuracy_most_likely", "note_f1_eighth_notes"}


def test_a_row_may_be_compared_with_another():
    """Latents of the adversarial autoencoder are nearer to the prior than the plain one's, which is run before it."""
    plain, adversarial = reproduce.select(["aae_gaussian"])
    assert plain.name == "aae_plain"
    others = {"mmd2_prior_to_prior": 0.001, "bce_nats_per_pixel": 0.1}

    def row_of(*values):
        scores = {str(seed): {"mmd2_to_prior": value, **others} for seed, value in enumerate(values)}
        return {"seconds": {"0": 1.0}, "scores": scores}

    lines = verdicts.lines(adversarial, {"aae_plain": row_of(0.4, 0.41), "aae_gaussian": row_of(0.019, 0.02)})
    line = next(line for line in lines if line.metric == "mmd2_to_prior")
    assert math.isclose(line.expected, 0.405) and line.verdict == "passes"
    with pytest.raises(UserError, match="aae_plain"):
        verdicts.lines(adversarial, {"aae_gaussian": row_of(0.019, 0.02)})


def test_a_shortened_schedule_is_judged_by_the_order_of_the_columns():
    rows = reproduce.rows()

    def row_of(*values):
        scores = {str(seed): {"nll": value, "nll_se": 0.1, "active_units": 18.0} for seed, value in enumerate(values)}
        return {"seconds": {"0": 1.0}, "scores": scores}

    def verdict_of(name, stored):
        return {line.metric: line.verdict for line in verdicts.lines(rows[name], stored)}

    stored = {"iwae_vae_k1_short": row_of(89.7, 89.8), "iwae_vae_k5_short": row_of(89.1, 89.2)}
    assert verdict_of("iwae_vae_k1_short", stored) == {"nll": "not judged", "active_units": "not judged"}
    assert verdict_of("iwae_vae_k5_short", stored)["nll"] == "passes"
    assert verdict_of("iwae_vae_k5_short", {**stored, "iwae_vae_k5_short": row_of(90.7, 90.8)})["nll"] == "misses"


def test_a_table_shows_rows_as_the_paper_does():
    table = reproduce.tables()["iwae_table1"]
    names = [row.name for row in reproduce.select(["iwae_table1"])]
    assert len(names) == 10 and names[0] == "iwae_vae_k1" and names[-1] == "iwae_iwae_k50_2layers"
    stored = {"iwae_vae_k1": {"seconds": {"0": 1.0}, "scores": {"0": {"nll": 87.0, "active_units": 20.0}}}}
    head, _, *body = tables.grid(table, stored, markdown=True).splitlines()
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


def test_the_tables_of_a_page_are_rendered_and_all_else_stays():
    page = "before\n<!-- results: simple_ae -->\nold\n<!-- /results -->\n<!-- speed -->\nkept\n<!-- /speed -->\n"
    stored = {"simple_ae": entry(0.09, 0.0901), "sparse_ae": entry(0.09)}
    filled = tables.fill(page, stored)
    assert "old" not in filled and "| simple_ae |" in filled and "sparse_ae" not in filled
    assert filled.startswith("before\n<!-- results: simple_ae -->\n| row |") and "kept\n<!-- /speed -->" in filled
    assert tables.fill(filled, stored) == filled
