"""The training step as a pure function of the state, a batch and the numbers of the run."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from ae_jax.core import reduce, schedules
from ae_jax.core.types import Batch
from ae_jax.devices import mesh
from ae_jax.training import accumulation, players, precision

# The order is fixed: stream number i of a key is the same however many follow it.
_STREAMS = ("augmentation", "corruption", "latent", "sampling", "dropout", "objective", "collections")
# The collection whose variables begin each step at zero and add up over the pieces of a batch.
_SUMS = "sums"


class TrainState(flax.struct.PyTreeNode):
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
        return mesh.shard_state(TrainState(jnp.int32(0), params, average, extra, opt_state, state_key, jnp.int32(0)))

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
        model's `roles`, {module: player}, give them; all others are the first's. An objective with a parameter `key`
        receives a key of its own for each step.
    kind: one of `precision.KINDS`.
    tx: an Optax transformation, or a function from hparams["optimizer"] to one.
    pieces: how many pieces of a batch have their gradients added up (`ae_jax.training.accumulation`); they divide it.
    metrics: scalars: every term, their weighted sum "loss" (both means over the batch), and "gradient_norm".
    A step whose loss or gradient is not finite changes only `step` and `bad_steps`.
    """
    gradient = accumulation.over_pieces(_make_gradient(model, objective, num_samples, kind), pieces)

    def step(state: TrainState, batch: Batch, hparams: Mapping[str, Any]):
        hp = schedules.at(hparams, state.step)
        keys = streams(jax.random.fold_in(state.key, state.step))
        batch = prepare(keys, batch, hp["corruption"])
        grads, metrics, extra = gradient(state.params, _without_sums(state.extra), batch, keys, hp)
        grads = mesh.shard_grads(grads)
        loss, metrics = metrics["loss"], {**metrics, "gradient_norm": optax.global_norm(grads)}

        def accept():
            updates, opt_state = _transformation(tx, hp).update(grads, state.opt_state, state.params)
            params = model.after_update(optax.apply_updates(state.params, updates))
            average = state.ema if state.ema is None else _average(state.ema, params, hp["ema"], state.step)
            collections = model.after_batch(extra, keys["collections"])
            return state.replace(
                params=params, ema=average, extra=collections, opt_state=opt_state, bad_steps=jnp.int32(0)
            )

        # A conditional update costs nothing, where a select of the new or the old state reads and writes all of both.
        ok = jnp.isfinite(loss) & jnp.isfinite(metrics["gradient_norm"])
        new = jax.lax.cond(ok, accept, lambda: state.replace(bad_steps=state.bad_steps + 1))
        return new.replace(step=state.step + 1), metrics

    return step


def _without_sums(extra):
    """Return the mutable collections with the sums over a batch set to zero."""
    return {**extra, _SUMS: jax.tree.map(jnp.zeros_like, extra[_SUMS])} if _SUMS in extra else extra


def _make_gradient(model, objective, num_samples, kind):
    """The function (params, extra, batch, keys, numbers of this step) -> (gradient, {"loss", every term}, extra)."""

    takes_key = "key" in inspect.signature(objective).parameters

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
            key = {"key": keys["objective"]} if takes_key else {}
            by_player = players.by_player(objective(outputs, batch, **key, **hp["objective"]))
            players.check(by_player, model)
            mean = lambda values: reduce.masked_mean(values, batch.get("mask"))
            means = {
                player: {name: mean(values) for name, values in terms.items()} for player, terms in by_player.items()
            }
            flat = {name: value for terms in means.values() for name, value in terms.items()}
            reduce.check_weights(flat, hp["weights"])
            losses = {player: reduce.weighted_sum(terms, hp["weights"]) for player, terms in means.items()}
            return losses, (flat, dict(new))

        losses, pullback, (terms, new) = jax.vjp(losses_of, params, has_aux=True)
        grads = precision.full(players.gradients(losses, pullback, model.roles))
        return grads, {"loss": sum(losses.values()), **terms}, new

    return gradient


def _average(average, params, decay, step):
    """Exponential moving average whose decay grows from 0.1 to `decay`, so that the start is soon forgotten."""
    decay = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params)
