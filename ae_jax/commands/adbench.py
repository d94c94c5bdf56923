"""Anomaly detection on tables: our models beside three baselines.

The tables are those of ADBench (Han et al. 2022, arXiv:2206.09426). One protocol serves all of them. 70 % of the rows
are for training and 30 % for testing, in the same proportions of both classes. Each column is scaled to [0, 1] by the
training part. Training is unsupervised and sees anomalies as well. No setting is chosen for a single table. Each of
five seeds decides a split and the first values of a model.

    AE, VAE          D-64-32-K-32-64-D, 10 epochs, scored by the squared error and by the ELBO
    IsolationForest  scikit-learn's defaults
    kNN              the distance to the fifth neighbour in the training part
    PCA              the squared error with K components

K = min(max(D // 3, 1), 10) for D columns. `benchmarks/adbench.json` holds the results.
"""

import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.commands import adbench_tables
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation import detection, scores
from ae_jax.experiments import configuration, experiment, rundir, runner
from ae_jax.sweeps import fleet
from ae_jax.training import loop

RESULTS = configuration.ROOT / "benchmarks" / "adbench.json"
SEEDS = range(5)
MODELS = ("AE", "VAE")
BASELINES = ("IsolationForest", "kNN", "PCA")
METRICS = ("auc_roc", "auc_pr")
_NEIGHBOURS = 5
# Networks that train for much longer on such small tables learn to reconstruct the anomalies among their rows too. This
# was seen on the table cardio, with its labels; docs/anomaly.md says so.
_EPOCHS = 10
_BATCH = 32
_HIDDEN = (64, 32)
# How many posterior samples the ELBO of an example is averaged over.
_SAMPLES = 10


def tables() -> dict[str, pathlib.Path]:
    """Return {name: file} of the tables in $AE_JAX_DATA_DIR/adbench, or raise UserError."""
    folder = pathlib.Path(os.environ.get("AE_JAX_DATA_DIR", "")) / "adbench"
    files = sorted(folder.glob("*_*.npz"), key=lambda file: int(file.stem.split("_")[0]))
    if not os.environ.get("AE_JAX_DATA_DIR") or not files:
        raise UserError(
            "no tables in $AE_JAX_DATA_DIR/adbench\n"
            "put the NUMBER_NAME.npz files there of github.com/Minqi824/ADBench, folder datasets/Classical"
        )
    return {file.stem.split("_", 1)[1]: file for file in files}


def split(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split a table and scale it by its training part.

    Args:
      x: the table [N, D].
      y: its labels [N], 1 for an anomaly.
      seed: the seed of the split.

    Returns:
      Training rows, test rows, and the labels of both.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler

    train, test, of_train, of_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    # The test rows have no part in the scaling, so their values may lie outside [0, 1].
    scaler = MinMaxScaler().fit(train)
    return scaler.transform(train), scaler.transform(test), of_train, of_test


def components(columns: int) -> int:
    """Return K, the size of the latent of a table with that many columns."""
    return min(max(columns // 3, 1), 10)


def baseline(name: str, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Score test rows by one of `BASELINES`.

    Args:
      name: the baseline.
      train: training rows [N, D].
      test: test rows [M, D].
      seed: the seed of the baseline, if it draws.

    Returns:
      Scores [M], larger for less typical rows.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors

    if name == "IsolationForest":
        # The scores of scikit-learn are larger for more typical rows, so the sign is changed.
        return -IsolationForest(random_state=seed).fit(train).score_samples(test)
    if name == "kNN":
        distances, _ = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(train).kneighbors(test)
        return distances[:, -1]
    pca = PCA(components(train.shape[1])).fit(train)
    return np.square(test - pca.inverse_transform(pca.transform(test))).mean(axis=1)


def config_of(model: str, columns: int) -> Any:
    """Return the config of "AE" or "VAE" for a table."""
    config = configuration.load(f"configs/{'vae' if model == 'VAE' else 'ae'}.py")
    config.model.update(latent_dim=components(columns), hidden=_HIDDEN, likelihood="gaussian")
    config.train.update(steps=None, epochs=_EPOCHS, batch_size=_BATCH)
    return config


@functools.lru_cache(maxsize=4)
def _programs(model: str, rows: int, columns: int):
    """Return (experiment, training, scoring) for tables of one shape, which share them.

    Training maps (states, arrays, hparams, until), with a leading axis of seeds on states and arrays. Scoring maps
    (states, test rows [S, M, D], keys [S]) to {score: [S, M]}.
    """
    built = experiment.build(config_of(model, columns), DataSpec((columns,), "reals"))
    batches = Batches({"x": np.zeros((rows, columns), np.float32)}, built.spec, min(_BATCH, rows))

    def score(states, x, keys):
        def of_seed(one):
            state, x, key = one
            batch = {"x": x, "inputs": x, "mask": jnp.ones(len(x))}
            return scores.of_batch(built.model, runner.scored_variables(state), batch, key, _SAMPLES)

        # One seed after the other, so that the memory does not grow with their number.
        return jax.lax.map(of_seed, (states, x, keys))

    train = jax.vmap(loop.make_run(built.step, batches), in_axes=(0, 0, None, None))
    return built, jax.jit(train), jax.jit(score)


def trained_scores(model: str, train: np.ndarray, test: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Train a model on all splits of a table as one program, and score the test rows.

    Args:
      model: "AE" or "VAE".
      train: training rows [S, N, D] of each seed.
      test: test rows [S, M, D].
      seeds: the seeds [S], which also decide the first values.

    Returns:
      Scores [S, M], larger for less typical rows.
    """
    _, rows, columns = train.shape
    built, fit, score = _programs(model, rows, columns)
    states = fleet.stack([runner.first_state(built, seed) for seed in seeds])
    steps = jnp.int32(_EPOCHS * -(-rows // _BATCH))
    states, totals = fit(states, {"x": train.astype(np.float32)}, built.hparams, steps)
    if np.asarray(totals["skipped"]).any():
        raise RunFailed(f"{model} had steps that were not finite: {totals['skipped']}")
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    found = jax.device_get(score(states, test.astype(np.float32), keys))
    return scores.anomaly(found)


def measure(file: pathlib.Path, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Measure all methods on one table.

    Args:
      file: an .npz with "X" [N, D] and "y" [N], 1 for an anomaly.
      seeds: the seeds of the splits.

    Returns:
      "rows", "columns", "anomalies", and for each of `METRICS` {method: [a value for each seed]}.
    """
    with np.load(file) as stored:
        x, y = stored["X"].astype(np.float64), stored["y"].astype(int)
    # All methods see the same splits, so that their differences are paired.
    parts = [split(x, y, seed) for seed in seeds]
    values: dict[str, Any] = {
        name: [baseline(name, *part[:2], seed) for part, seed in zip(parts, seeds)] for name in BASELINES
    }
    train, test = (np.stack([part[side] for part in parts]) for side in (0, 1))
    values |= {model: trained_scores(model, train, test, seeds) for model in MODELS}
    found: dict[str, Any] = {"rows": len(x), "columns": x.shape[1], "anomalies": int(y.sum())}
    for metric in METRICS:
        found[metric] = {}
        for method, by_seed in values.items():
            qualities = [detection.quality(part[3] == 1, each)[metric] for part, each in zip(parts, by_seed)]
            found[metric][method] = [round(each, 4) for each in qualities]
    return found


def run(stored: bool = False) -> None:
    """Measure all tables, write `RESULTS` after each, and print them.

    Args:
      stored: whether to measure nothing, and print what stands in `RESULTS`.
    """
    results = read()
    there = {} if stored else tables()
    # Written after each table, so that a run that is stopped keeps what it has measured.
    for name, file in there.items():
        results[name] = measure(file)
        rundir.write_json(RESULTS, results)
        means = "  ".join(f"{method} {np.mean(each):.3f}" for method, each in results[name]["auc_roc"].items())
        print(f"{name}: {means}", flush=True)
    print(adbench_tables.markdown(read()))


def read() -> dict[str, Any]:
    """Return {table: what `measure` found} of all that was run, in alphabetical order."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found = {name: stored[name] for name in sorted(stored, key=str.lower)}
    for entry in found.values():
        # The file has its keys sorted; the tables show the baselines first.
        for metric in METRICS:
            entry[metric] = {method: entry[metric][method] for method in (*BASELINES, *MODELS)}
    return found
