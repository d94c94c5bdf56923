"""The training step as a pure function, and the loop that runs many of them in one dispatch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from ae_jax import accumulation, mesh, players, precision, reduce, schedules
from ae_jax.batching import Batches
from ae_jax.types import Batch

_STREAMS = ("augmentation", "corruption", "latent", "sampling", "dropout")


@flax.struct.dataclass
class TrainState:
    """All that training changes; a checkpoint is exactly this."""

    step: Any  # int32, updates attempted
    params: Any
    ema: Any  # average of params, or None
    extra: Any  # {collection: ...}: codebooks, batch statistics
    opt_state: Any
    key: Any  # typed key; never consumed, only folded with the step
    bad_steps: Any  # int32, non-finite steps in a row


def streams(key: Any) -> dict[str, Any]:
    """One key for each use of randomness."""
    return dict(zip(_STREAMS, jax.random.split(key, len(_STREAMS)), strict=True))


def as_it_is(keys: dict[str, Any], batch: Batch, hparams: Any) -> Batch:
    """The `prepare` of plain training: nothing is augmented, nothing corrupted."""
    return batch


def make_hparams(weights: Mapping[str, Any], **groups: Any) -> dict[str, Any]:
    """The numbers of a run as a tree of arrays and schedules: what may vary inside one program."""
    groups = {"weights": dict(weights), "corruption": {}, "model": {}, "objective": {}, "optimizer": {}, **groups}
    return jax.tree.map(schedules.parse, groups)


def make_init(model: Any, tx: Any, prepare=as_it_is, ema: bool = False, kind: str | None = None):
    """The function (key, batch, hparams) -> TrainState. `batch` gives shapes; of its values only "mean" is read.

    kind: one of `precision.KINDS`.
    """

    def init(key, batch, hparams):
        params_key, state_key = jax.random.split(key)
        keys = streams(params_key)
        hp = schedules.at(hparams, 0)
        batch = prepare(keys, batch, hp["corruption"])
        extra = dict(model.init({"params": params_key, **keys}, batch, train=False, hparams=hp["model"]))
        params = extra.pop("params")
        average = jax.tree.map(jnp.copy, params) if ema else None
        opt_state = _transformation(tx, hp).init(params)
        params = precision.stored(kind, params)
        return mesh.settled(TrainState(jnp.int32(0), params, average, extra, opt_state, state_key, jnp.int32(0)))

    return init


def _transformation(tx: Any, hp: Mapping[str, Any]) -> optax.GradientTransformation:
    """Optax transformations are pure functions of their numbers, so one may be made from traced values."""
    return tx(**hp["optimizer"]) if callable(tx) else tx


def make_train_step(
    model: Any,
    objective: Callable,
    tx: Any,
    prepare: Callable = as_it_is,
    num_samples: int = 1,
    pieces: int = 1,
    kind: str | None = None,
):
    """The function step(state, batch, hparams) -> (state, metrics); the caller decides on jit, scan and vmap.

    objective: (outputs, batch, **hparams["objective"]) -> {term: [B]}, or {player: {term: [B]}}: each player minimises
        its own terms and moves only its own parameters, those of the modules of its name, or of the role that the
        model's `roles`, {module: player}, give them; all others are the first's.
    kind: one of `precision.KINDS`.
    tx: an Optax transformation, or a function from hparams["optimizer"] to one.
    pieces: how many pieces of a batch have their gradients added up (`ae_jax.accumulation`); they divide it.
    metrics: scalars: every term, their weighted sum "loss" (both means over the batch), and "gradient_norm".
    A step whose loss or gradient is not finite changes only `step` and `bad_steps`.
    """
    gradient = accumulation.over_pieces(_make_gradient(model, objective, num_samples, kind), pieces)

    def step(state: TrainState, batch: Batch, hparams: Mapping[str, Any]):
        hp = schedules.at(hparams, state.step)
        keys = streams(jax.random.fold_in(state.key, state.step))
        batch = prepare(keys, batch, hp["corruption"])
        grads, metrics, extra = gradient(state.params, state.extra, batch, keys, hp)
        grads = mesh.summed(grads)
        loss, metrics = metrics["loss"], {**metrics, "gradient_norm": optax.global_norm(grads)}

        def accept():
            updates, opt_state = _transformation(tx, hp).update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            average = state.ema if state.ema is None else _average(state.ema, params, hp["ema"], state.step)
            return state.replace(params=params, ema=average, extra=extra, opt_state=opt_state, bad_steps=jnp.int32(0))

        # A conditional update costs nothing, where a select of the new or the old state reads and writes all of both.
        ok = jnp.isfinite(loss) & jnp.isfinite(metrics["gradient_norm"])
        new = jax.lax.cond(ok, accept, lambda: state.replace(bad_steps=state.bad_steps + 1))
        return new.replace(step=state.step + 1), metrics

    return step


def _make_gradient(model, objective, num_samples, kind):
    """The function (params, extra, batch, keys, numbers of this step) -> (gradient, {"loss", every term}, extra)."""

    def gradient(params, extra, batch, keys, hp):
        def losses_of(params):
            outputs, new = precision.apply(
                kind,
                model,
                {"params": params, **extra},
                batch,
                num_samples=num_samples,
                train=True,
                hparams=hp["model"],
                rngs=keys,
                mutable=list(extra),
            )
            by_player = players.by_player(objective(outputs, batch, **hp["objective"]))
            mean = lambda values: reduce.masked_mean(values, batch.get("mask"))
            means = {
                player: {name: mean(values) for name, values in terms.items()} for player, terms in by_player.items()
            }
            flat = {name: value for terms in means.values() for name, value in terms.items()}
            reduce.check_weights(flat, hp["weights"])
            losses = {player: reduce.weighted_sum(terms, hp["weights"]) for player, terms in means.items()}
            return losses, (flat, dict(new))

        losses, pullback, (terms, new) = jax.vjp(losses_of, params, has_aux=True)
        grads = precision.full(players.gradients(losses, pullback, getattr(model, "roles", None)))
        return grads, {"loss": sum(losses.values()), **terms}, new

    return gradient


def _average(average, params, decay, step):
    """Exponential moving average whose decay grows from 0.1 to `decay`, so that the start is soon forgotten."""
    decay = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params)


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
        batch = mesh.spread(batches.take(arrays, state.step, order_key(state)))
        state, metrics = step(state, batch, hparams)
        return mesh.settled(state), metrics

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
        return mesh.settled(state), totals

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
            if batches.in_chunks and totals is None:
                totals = _no_totals(run, *arguments)
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
    """
    hparams = make_hparams(weights)
    state = jax.jit(make_init(model, tx))(key, next(iter(batches)), hparams)
    return fit(state, batches, make_train_step(model, objective, tx), hparams, steps=steps, **options)
