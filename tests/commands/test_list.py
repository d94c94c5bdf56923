"""`ae-jax list` prints what exists, and every key of a config has a meaning."""

import subprocess
import sys

import pytest

from ae_jax.commands import cli, keys, listing
from ae_jax.commands.entry import list as command
from ae_jax.core import lookup


@pytest.mark.parametrize("what", [what for what in command.WHAT if what != "keys"])
def test_each_list_has_a_line_for_each_name(what, capsys):
    assert cli.run("list", [what]) == 0
    lines = capsys.readouterr().out.splitlines()
    kind = {"data": "sources"}.get(what, what)
    if kind in lookup.REGISTRIES:
        assert {line.split()[0] for line in lines} >= set(lookup.choices(kind))
    assert all(len(line.split()) > 2 for line in lines)


def test_a_text_selects_lines(capsys):
    assert cli.run("list", ["metrics", "annealed"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ais"]
    assert cli.run("list", ["metrics", "no such text"]) == 2
    assert cli.run("list", ["metric"]) == 2
    assert "'metrics'" in capsys.readouterr().err


def test_every_key_has_a_meaning_and_a_type():
    found = {key.name: key for key in keys.every()}
    assert not [name for name, key in found.items() if not (key.meaning and key.form)]
    rate = found["optimizer.learning_rate"]
    assert (rate.default, "schedule" in rate.form) == ("0.001", True)
    assert ("objective", "elbo") in found["objective.free_bits"].readers
    assert {("encoder", "mlp"), ("decoder", "mlp")} <= set(found["model.hidden"].readers)
    assert {("data source", "codes")} == set(found["data.draw"].readers)


def test_lists_do_not_import_jax():
    code = "import sys; from ae_jax.commands import cli; cli.run('list', ['figures']); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_config_is_described_by_its_docstring():
    config = listing.config("vae")
    assert (config.family, config.objective, config.data[0]) == ("vae", "elbo", "digits")
    assert {"mnist", "fashion_mnist"} <= set(config.data)
    links = listing.papers(" ".join(config.description), {})
    assert links == ["[arXiv:1312.6114](https://arxiv.org/abs/1312.6114)"]
