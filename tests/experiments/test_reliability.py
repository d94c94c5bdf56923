"""Full disks, odd cells, and numbers out of bounds: refused or worked around, in two lines."""

import csv
import io
import types
import warnings

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ae_jax.core import cells
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import analysis, configuration, rundir
from ae_jax.sweeps import directory
from ae_jax.training import optim


def test_a_result_that_cannot_be_stored_names_the_other_folder(tmp_path):
    run = types.SimpleNamespace(run=rundir.RunDir(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    run.run.evaluations.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFailed, match="evaluations.jsonl.*\n.*--output") as caught:
        analysis.store(run, {"step": 1})
    assert len(str(caught.value).splitlines()) == 2 and not (tmp_path / "elsewhere").exists()
    analysis.store(run, {"step": 1}, str(tmp_path / "mine"))
    assert rundir.read_lines(tmp_path / "mine" / "evaluations.jsonl") == [{"step": 1}]


@given(st.one_of(st.text(), st.text(alphabet="'=@+-1e.x", max_size=6)))
def test_no_cell_begins_as_a_formula_and_every_text_comes_back(text):
    quoted = cells.quote(text)
    assert cells.unquote(quoted) == text
    try:
        float(text)
    except ValueError:
        assert quoted[:1] not in ("=", "@", "+", "-")
    else:
        assert quoted == text


def test_numbers_stay_as_they_are():
    assert [cells.quote(cell) for cell in (-1.5, "-1e-3", "+2", 7)] == [-1.5, "-1e-3", "+2", 7]
    file = io.StringIO()
    csv.writer(file).writerow([cells.quote("=1+1"), cells.quote(-2)])
    assert file.getvalue() == "'=1+1,-2\r\n"


KEYS = ["model.latent_dim", "train.batch_size", "train.max_bad_steps", "train.steps", "objective.num_samples"]


@pytest.mark.parametrize("key", KEYS)
def test_counts_have_an_upper_bound(key):
    with pytest.raises(UserError, match=f"{key}.*\n.*at most"):
        configuration.override(configuration.load("vae:digits"), key, "99999999999")


def test_only_true_and_false_are_booleans():
    with pytest.raises(UserError, match="nesterov.*\n.*true or false"):
        optim.make_tx({"name": "adam", "learning_rate": 1e-3, "nesterov": "no"})


@pytest.mark.parametrize("name", optim.names())
def test_every_optimizer_that_is_offered_works_by_the_gradient_alone(name):
    make, numbers = optim.make_tx({"name": name, "learning_rate": 1e-3})
    params = {"matrix": jnp.ones((2, 3)), "vector": jnp.ones(3)}

    def three_steps(params):
        tx = make(**numbers)
        state = tx.init(params)
        for _ in range(3):
            updates, state = tx.update(params, state, params)
            params = jax.tree.map(jnp.add, params, updates)
        return params

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optax warns of a default that a later version drops
        assert jax.eval_shape(three_steps, params)["matrix"].shape == (2, 3)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"runs": {}}', b'{"runs": {"a": 1}, "config": {}}'])
def test_a_damaged_plan_is_named_in_two_lines(tmp_path, content):
    (tmp_path / "sweep.json").write_bytes(content)
    with pytest.raises(UserError, match="sweep.json cannot be read") as caught:
        directory.SweepDir(tmp_path).read()
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"status": "done"}', '{"status": 1, "reason": "", "seconds": 0}'])
def test_a_damaged_result_counts_as_none(tmp_path, content):
    (tmp_path / "seed=0").mkdir()
    (tmp_path / "seed=0" / "result.json").write_text(content)
    assert directory.SweepDir(tmp_path).result("seed=0") is None
