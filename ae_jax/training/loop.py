"""The loop that runs many training steps in one dispatch, and calls hooks between dispatches."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax.data.batching import Batches, check_support
from ae_jax.devices import mesh
from ae_jax.models.base import Family
from ae_jax.training.step import TrainState, make_hparams, make_init, make_train_step


def order_key(state: TrainState) -> Any:
    """The key of the order in which the examples come."""
    return jax.random.fold_in(state.key, jnp.uint32(2**32 - 1))  # no step number reaches it


def make_run(step: Callable, batches: Batches, max_bad_steps: int = 10):
    """The function (state, arrays, hparams, until, totals) -> (state, totals): steps up to `until`, in one dispatch.

    It ends early after `max_bad_steps` non-finite steps in a row. totals: {"sums", "nonfinite": {metric: .}, "good",
    "skipped"}; sums are over the good steps, nonfinite counts the steps in which that metric was not finite. Those
    passed in are of the steps before, where they are to be added to.
    """

    def one(state, arrays, hparams):
        batch = mesh.shard(batches.take(arrays, state.step, order_key(state)))
        state, metrics = step(state, batch, hparams)
        return mesh.shard_state(state), metrics

    one = jax.jit(one, inline=True)  # traced once, for the shapes and for the loop

    def run(state, arrays, hparams, until, totals=None):
        if totals is None:
            shapes = jax.eval_shape(one, state, arrays, hparams)[1]
            zeros = {name: jnp.zeros((), jnp.float32) for name in shapes}
            counts = {name: jnp.zeros((), jnp.int32) for name in shapes}
            totals = {"sums": zeros, "nonfinite": counts, "good": jnp.int32(0), "skipped": jnp.int32(0)}

        def body(carry):
            state, totals = carry
            state, metrics = one(state, arrays, hparams)
            good = state.bad_steps == 0
            add = lambda total, value: total + jnp.where(good, value, 0)
            return state, {
                "sums": {name: add(totals["sums"][name], metrics[name]) for name in metrics},
                "nonfinite": {name: totals["nonfinite"][name] + ~jnp.isfinite(metrics[name]) for name in metrics},
                "good": totals["good"] + good,
                "skipped": totals["skipped"] + ~good,
            }

        go_on = lambda carry: (carry[0].step < until) & (carry[0].bad_steps < max_bad_steps)
        state, totals = jax.lax.while_loop(go_on, body, (state, totals))
        return mesh.shard_state(state), totals

    return run


def compiled_run(step: Callable, batches: Batches, max_bad_steps: int = 10) -> Callable:
    """`make_run` jitted: the one program by which runs are trained. The state passed in is donated."""
    return jax.jit(make_run(step, batches, max_bad_steps), donate_argnums=0)


class NonFiniteError(FloatingPointError):
    """Training met too many non-finite steps in a row."""

    def __init__(self, step: int, totals: Mapping[str, Any], bad_steps: int):
        terms = [name for name, count in totals["nonfinite"].items() if count]
        self.step, self.terms, self.bad_steps = step, terms, bad_steps
        super().__init__(f"{bad_steps} non-finite steps in a row up to step {step}; not finite: {', '.join(terms)}")


Hook = tuple[int, Callable[[int, TrainState, dict[str, float]], Any]]


def fit(
    state: TrainState,
    batches: Batches,
    step: Callable,
    hparams: Mapping[str, Any],
    *,
    steps: int,
    hooks: Sequence[Hook] = (),
    max_bad_steps: int = 10,
) -> tuple[TrainState, dict[str, float]]:
    """Trains to step number `steps`; each hook (every, fn) is called at its multiples and at the end.

    A function under several periods is called once where they meet.
    metrics: means over the steps since any hook was last due, and "skipped" where steps were. Between two such points
    Python is idle. A hook that returns True stops the training there. Raises NonFiniteError after `max_bad_steps`
    non-finite steps in a row. The state passed in is donated.
    """
    run = compiled_run(step, batches, max_bad_steps)
    current, metrics = int(state.step), {}
    feed = batches.feed(order_key(state), current)
    while current < steps:
        target = next_stop(current, steps, [every for every, _ in hooks])
        totals = None
        for arrays, until in feed(current, target):
            arguments = (state, arrays, hparams, jnp.int32(until))
            if batches.in_chunks:
                # Otherwise all chunks up to the target would be in memory, waiting for their turn.
                totals = _no_totals(run, *arguments) if totals is None else jax.block_until_ready(totals)
            state, totals = run(*arguments, totals)
        totals = jax.device_get(totals)
        if (bad_steps := int(state.bad_steps)) >= max_bad_steps:
            raise NonFiniteError(int(state.step), totals, bad_steps)
        current, metrics = target, means(totals)
        due = dict.fromkeys(fn for every, fn in hooks if current % every == 0 or current == steps)
        if any([fn(current, state, metrics) for fn in due]):
            break
    return state, metrics


def _no_totals(run, *arguments):
    """What a window begins with, as arrays, so that its first dispatch is the same program as the others."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(run, *arguments)[1])


def next_stop(current: int, steps: int, periods: Sequence[int]) -> int:
    """The first step number after `current` that is a multiple of a period, or the last."""
    return min([steps, *((current // every + 1) * every for every in periods)])


def means(totals: Mapping[str, Any]) -> dict[str, float]:
    """The means of the metrics over the good steps of a dispatch, and "skipped" where steps were."""
    good = int(totals["good"])
    values = {name: float(value) / good if good else math.nan for name, value in totals["sums"].items()}
    return {**values, **({"skipped": float(totals["skipped"])} if totals["skipped"] else {})}


def train(
    model: Any, objective: Callable, tx: Any, batches: Batches, key: Any, *, weights: Any, steps: int, **options: Any
) -> tuple[TrainState, dict[str, float]]:
    """Trains a model from its initial parameters: what a notebook needs. `options` are those of `fit`.

    weights: {term: number or schedule}, for every term of the objective.
    Raises UserError for values that have no likelihood under the model.
    """
    if isinstance(model, Family):
        check_support(batches.arrays["x"], batches.spec, model.support)
    hparams = make_hparams(weights)
    state = jax.jit(make_init(model, tx))(key, next(iter(batches)), hparams)
    return fit(state, batches, make_train_step(model, objective, tx), hparams, steps=steps, **options)
