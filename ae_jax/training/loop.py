"""The training loop: many steps in one compiled dispatch, and hooks between dispatches.

While the device trains, Python is idle. Hooks evaluate, log and save at their periods.
"""

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
    """Return the random key that determines the order of the examples."""
    # Steps fold their own numbers into the same key, and no step number is as large as this one.
    return jax.random.fold_in(state.key, jnp.uint32(2**32 - 1))


def make_run(step: Callable, batches: Batches, max_bad_steps: int = 10):
    """Make the function run(state, arrays, hparams, until, totals) -> (state, totals).

    It trains up to step number `until`.

    It ends early after `max_bad_steps` non-finite steps in a row. The totals are those passed in, or zeros, plus:
      "sums": {metric: its sum over the steps that were not skipped};
      "nonfinite": {metric: the number of steps in which it was not finite};
      "good": the number of steps that were not skipped;
      "skipped": the number of steps that were skipped.

    Args:
      step: a function (state, batch, hparams) -> (state, metrics), from `ae_jax.training.step.make_train_step`.
      batches: the training batches, of which step numbers select one each.
      max_bad_steps: the number of non-finite steps in a row after which the function ends early.
    """

    def one(state, arrays, hparams):
        batch = mesh.shard(batches.take(arrays, state.step, order_key(state)))
        state, metrics = step(state, batch, hparams)
        return mesh.shard_state(state), metrics

    # Jitted so that JAX traces it once, although it is called for the shapes and in the loop.
    one = jax.jit(one, inline=True)

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
            sums, nonfinite = {}, {}
            for name, value in metrics.items():
                # The metrics of a skipped step may be infinite. A product with zero would then be NaN.
                sums[name] = totals["sums"][name] + jnp.where(good, value, 0)
                nonfinite[name] = totals["nonfinite"][name] + ~jnp.isfinite(value)
            counts = {"good": totals["good"] + good, "skipped": totals["skipped"] + ~good}
            return state, {"sums": sums, "nonfinite": nonfinite, **counts}

        def unfinished(carry):
            state, _ = carry
            return (state.step < until) & (state.bad_steps < max_bad_steps)

        # A while loop, because `until` is an argument: windows of different lengths share one compiled function.
        state, totals = jax.lax.while_loop(unfinished, body, (state, totals))
        return mesh.shard_state(state), totals

    return run


def compiled_run(step: Callable, batches: Batches, max_bad_steps: int = 10) -> Callable:
    """Jit the function that `make_run` makes, and let it donate its state."""
    return jax.jit(make_run(step, batches, max_bad_steps), donate_argnums=0)


class NonFiniteError(FloatingPointError):
    """The error for too many non-finite steps in a row.

    Attributes:
      step: the number of the last step.
      terms: the names of the metrics that were not finite.
      bad_steps: the number of non-finite steps in a row.
    """

    def __init__(self, step: int, totals: Mapping[str, Any], bad_steps: int):
        """Word the error.

        Args:
          step: the number of the last step.
          totals: the totals of the dispatch, from `make_run`.
          bad_steps: the number of non-finite steps in a row.
        """
        terms = [name for name, count in totals["nonfinite"].items() if count]
        self.step, self.terms, self.bad_steps = step, terms, bad_steps
        super().__init__(f"{bad_steps} non-finite steps in a row up to step {step}; not finite: {', '.join(terms)}")


# (period in steps, function (step, state, metrics)). A function that returns True ends the training.
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
    """Train up to step number `steps`. The state that is passed in is donated.

    Args:
      state: the state at which to start.
      batches: the training batches.
      step: a function (state, batch, hparams) -> (state, metrics), from `ae_jax.training.step.make_train_step`.
      hparams: the hyperparameters, from `ae_jax.training.step.make_hparams`.
      steps: the number of the last step.
      hooks: pairs (period, function). Each function is called at the multiples of its period, and at the end. If a
        function is given with several periods, it is called once where they coincide. A function that returns True ends
        the training.
      max_bad_steps: the number of non-finite steps in a row that end the training.

    Returns:
      The state, and the metrics: their means over the steps since a hook was last due, and "skipped", the number of
      skipped steps, if there were any.

    Raises:
      NonFiniteError: after `max_bad_steps` non-finite steps in a row.
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
        # A list and not a generator: all hooks are called, also after one that ends the training.
        if any([fn(current, state, metrics) for fn in due]):
            break
    return state, metrics


def _no_totals(run, *arguments):
    """Return totals of zero for the first dispatch; with None it would be compiled once more."""
    _, totals = jax.eval_shape(run, *arguments)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), totals)


def next_stop(current: int, steps: int, periods: Sequence[int]) -> int:
    """Return the first step number after `current` that is a multiple of a period, or the last.

    Args:
      current: a step number.
      steps: the last step number.
      periods: periods in steps.
    """
    return min([steps, *((current // every + 1) * every for every in periods)])


def means(totals: Mapping[str, Any]) -> dict[str, float]:
    """Return the means of the metrics over the steps that were not skipped.

    Args:
      totals: the totals of a dispatch, from `make_run`.

    Returns:
      {metric: mean}, NaN if all steps were skipped; and "skipped", the number of skipped steps, if there were any.
    """
    good = int(totals["good"])
    values = {name: float(value) / good if good else math.nan for name, value in totals["sums"].items()}
    if totals["skipped"]:
        values["skipped"] = float(totals["skipped"])
    return values


def train(
    model: Any, objective: Callable, tx: Any, batches: Batches, key: Any, *, weights: Any, steps: int, **options: Any
) -> tuple[TrainState, dict[str, float]]:
    """Train a model from its initial parameters, for example in a notebook.

    Args:
      model: the model.
      objective: a function (outputs, batch) -> {term: [B]}.
      tx: an Optax transformation.
      batches: the training batches.
      key: a random key.
      weights: {term: number or schedule}, for every term of the objective.
      steps: the number of steps.
      **options: further arguments of `fit`.

    Returns:
      The state and the metrics, as `fit` returns them.

    Raises:
      UserError: if the data have values without a likelihood under the model.
    """
    if isinstance(model, Family):
        check_support(batches.arrays["x"], batches.spec, model.support)
    hparams = make_hparams(weights)
    state = jax.jit(make_init(model, tx))(key, next(iter(batches)), hparams)
    return fit(state, batches, make_train_step(model, objective, tx), hparams, steps=steps, **options)
