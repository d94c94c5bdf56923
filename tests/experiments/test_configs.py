"""Every config: documented, resolvable with each data set, and trained, kept, read back and scored in `:smoke`."""

import ast
import importlib
import json
import math

import pytest

from ae_jax.core import lookup
from ae_jax.experiments import analysis, checks, configuration, experiment, runner
from configs import common

NAMES = sorted(p.stem for p in (configuration.ROOT / "configs").glob("[a-z]*.py") if p.stem != "common")
# The sections whose keys are fixed; of the others, `experiment.build` refuses what nothing reads.
FIXED = {"seed", "data", "train", "eval"}


@pytest.mark.parametrize("name", NAMES)
def test_smoke_trains_and_is_read_back_from_its_run_directory(name, tmp_path):
    config = configuration.load(f"configs/{name}.py:smoke")
    summary = runner.train_run(config, str(tmp_path / "run"))
    assert summary.step == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "train"] == [1, 2]
    assert all(line["loss"] > 0 for line in lines if line["split"] == "train")
    trained = analysis.load(str(tmp_path / "run"), limit=20, batch_size=20)
    scores = analysis.evaluate_run(trained, config.eval.metrics, {})
    answered = [scores.keys() & lookup.module("metrics", metric).BETTER for metric in config.eval.metrics]
    assert all(answered)  # by each metric something; some answer more where more is asked
    assert all(math.isfinite(scores[key]) for keys in answered for key in keys)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_resolves_and_the_model_is_built(name):
    path = f"configs/{name}.py"
    assert len(ast.get_docstring(ast.parse((configuration.ROOT / path).read_text())).splitlines()) > 1
    module = importlib.import_module(f"configs.{name}")
    datasets = getattr(module, "DATASETS", common.DATASETS)
    in_rows = {row.split(",")[0] for row in getattr(module, "rows", dict)().values()}
    assert configuration.load(path).data.name in datasets
    for data in datasets:
        config = configuration.load(f"{path}:{data}")
        checks.check(config)
        assert config.data.name == data
        assert data in in_rows or not config.expected  # numbers of other data are not to be met on these
        # As JSON in a run directory and back it is the same config.
        stored = configuration.from_plain(json.loads(json.dumps(configuration.to_plain(config))))
        assert stored.to_dict() == config.to_dict()
    experiment.build(configuration.load(f"{path}:{next(iter(datasets))}")).check()


@pytest.mark.parametrize("name", NAMES)
def test_every_fixed_key_is_one_that_every_config_has(name):
    """A key of one config alone in a fixed section would be read by nothing."""
    fixed = lambda config: {key for key in configuration.keys(config) if key.split(".")[0] in FIXED}
    assert fixed(configuration.load(f"configs/{name}.py:smoke")) == fixed(common.start("")[0])
