"""The training step as a pure function of the state, a batch and the hyperparameters."""

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

# The random streams of a step. Add new ones only at the end, so that old runs resume with the same draws: the key of a
# stream depends on its place in this order, but not on how many streams follow it.
_STREAMS = ("augmentation", "corruption", "latent", "sampling", "dropout", "objective", "collections")
# The collection whose variables are set to zero before each step, and then add up over the pieces of a batch.
_SUMS = "sums"


class TrainState(flax.struct.PyTreeNode):
    """Everything that training changes. A checkpoint stores these fields and nothing else."""

    step: Any  # int32: the number of steps, whether their updates were applied or skipped
    params: Any
    ema: Any  # the exponential moving average of params, or None
    extra: Any  # {collection: values}: all other variables, such as codebooks and batch statistics
    opt_state: Any
    # A typed random key. It never changes: each step folds its number into it, so that a resumed run makes the
    # same draws as one that was never interrupted.
    key: Any
    bad_steps: Any  # int32: the number of non-finite steps in a row


def streams(key: Any) -> dict[str, Any]:
    """Split a key into one key for each random stream, {stream: key}."""
    return dict(zip(_STREAMS, jax.random.split(key, len(_STREAMS)), strict=True))


def as_it_is(keys: dict[str, Any], batch: Batch, hparams: Any) -> Batch:
    """Return the batch unchanged: the `prepare` of training without augmentation and corruption.

    Args:
      keys: not read.
      batch: a batch.
      hparams: not read.
    """
    return batch


def make_hparams(weights: Mapping[str, Any], **groups: Any) -> dict[str, Any]:
    """Return the hyperparameters of a run as a pytree of arrays and schedules.

    They are arguments of the compiled step, so that runs that differ only in them share one compiled function.

    Args:
      weights: {term: number or schedule} for the terms of the objective.
      **groups: the same for the groups "corruption", "model", "objective", "optimizer" and "ema".
    """
    groups = {"weights": dict(weights), "corruption": {}, "model": {}, "objective": {}, "optimizer": {}, **groups}
    return jax.tree.map(schedules.parse, groups)


def make_init(model: Any, tx: Any, prepare=as_it_is, ema: bool = False, kind: str | None = None):
    """Make the function init(key, batch, hparams) -> TrainState.

    Its batch gives the shapes. A model reads its values only if its `starts_from` says so.

    Args:
      model: the model.
      tx: an Optax transformation, or a function from the numbers of hparams["optimizer"] to one.
      prepare: a function (keys, batch, hparams["corruption"]) -> batch that augments and corrupts.
      ema: whether the state holds an exponential moving average of the parameters.
      kind: one of `ae_jax.training.precision.KINDS`, or None for "float32".
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
    """Return the Optax transformation of a step, whose numbers may be traced values."""
    # A transformation is a pair of pure functions, so that making it again at every trace costs nothing at run time.
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
    """Make the function step(state, batch, hparams) -> (state, metrics).

    Callers transform it by jit, scan or vmap.

    The metrics are scalars: the mean of every term over the batch, the "loss" (see `players.reported`), and
    "gradient_norm". A step whose loss or gradient is not finite is skipped: it changes only `step` and `bad_steps` of
    the state.

    Args:
      model: the model.
      objective: a function (outputs, batch, **hparams["objective"]) -> {term: [B]}, or {player: {term: [B]}} if several
        players minimise losses of their own; see `ae_jax.training.players`. If it has a parameter `key`, it receives a
        random key of its own in each step.
      tx: an Optax transformation, or a function from the numbers of hparams["optimizer"] to one.
      prepare: a function (keys, batch, hparams["corruption"]) -> batch that augments and corrupts.
      num_samples: the number of samples of a random latent for each example.
      pieces: the number of pieces of a batch over which gradients are accumulated; it must divide the batch.
      kind: one of `ae_jax.training.precision.KINDS`, or None for "float32".
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

        # `cond` computes only one branch. `where` would read and write both the old and the new state at every step.
        ok = jnp.isfinite(loss) & jnp.isfinite(metrics["gradient_norm"])
        new = jax.lax.cond(ok, accept, lambda: state.replace(bad_steps=state.bad_steps + 1))
        return new.replace(step=state.step + 1), metrics

    return step


def _without_sums(extra):
    """Return the mutable collections with the sums over a batch set to zero."""
    if _SUMS not in extra:
        return extra
    return {**extra, _SUMS: jax.tree.map(jnp.zeros_like, extra[_SUMS])}


def _make_gradient(model, objective, num_samples, kind):
    """Make the function (params, extra, batch, keys, hp) -> (gradients, metrics, extra).

    `hp` are the hyperparameters of one step, with the values of schedules. The metrics are "loss" and every term.
    """
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
            # The order of players stays as it is, because the first one moves the parameters that no other claims.
            means, all_terms = {}, {}
            for player, terms in by_player.items():
                means[player] = {name: reduce.masked_mean(values, batch.get("mask")) for name, values in terms.items()}
                all_terms.update(means[player])
            reduce.check_weights(all_terms, hp["weights"])
            losses = {player: reduce.weighted_sum(terms, hp["weights"]) for player, terms in means.items()}
            return losses, (all_terms, dict(new))

        losses, pullback, (terms, new) = jax.vjp(losses_of, params, has_aux=True)
        # The sums of accumulation and the moments of the optimiser need float32.
        grads = precision.full(players.gradients(losses, pullback, model.roles))
        return grads, {"loss": players.reported(losses), **terms}, new

    return gradient


def _average(average, params, decay, step):
    """Update an exponential moving average.

    Its decay grows from 0.1 to `decay`, so that the first steps are soon forgotten.
    """
    decay = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params)
