"""Annealed importance sampling (AIS) of -log p(x), and its error on simulated data.

The simulated data are drawn from the model itself.

Neal 2001, "Annealed importance sampling"; Wu et al. 2017, "On the quantitative analysis of decoder-based generative
models", arXiv:1611.04273, for deep generative models; Grosse et al. 2015, "Sandwiching the marginal likelihood using
bidirectional Monte Carlo", arXiv:1511.02543, for the check by reverse chains.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae_jax.core.distributions import standard_normal
from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_mean_exp, weighted
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"ais_nll": "min"}

# The share of accepted proposals at which the step sizes aim (Wu et al. 2017, section 4).
_ACCEPTED = 0.65
# How many chains find the step sizes.
_PILOT = 4
# The first step size, and the rate at which its logarithm adapts.
_FIRST_STEP, _ADAPTATION = 0.2, 0.1


def evaluate(
    model,
    variables,
    data,
    key,
    *,
    examples: int = 100,
    chains: int = 8,
    temperatures: int = 1000,
    leapfrog: int = 10,
) -> dict[str, float]:
    """Estimate -log p(x) by annealed importance sampling, without the help of the encoder.

    Chains lead from N(0, I) to p(x, z) by transitions of Hamiltonian Monte Carlo. The estimate is above -log p(x) in
    expectation. The same is done for examples drawn from the model, whose latents are exact draws of p(z|x). Reverse
    chains that start at those latents give an estimate below -log p(x) in expectation, so the gap between forward and
    reverse chains bounds the error of both.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      examples: how many examples are evaluated, evenly spread over the split. As many are drawn from the model.
      chains: how many chains are run for each example.
      temperatures: how many transitions a chain takes from N(0, I) to p(x, z).
      leapfrog: how many leapfrog steps a transition takes.

    Returns:
      All in nats: "ais_nll" of the examples; "ais_forward_nll" and "ais_reverse_nll" of examples drawn from the model;
      "ais_gap", forward minus reverse. A Bernoulli likelihood of grey levels is no density, and the first name is then
      "ais_nll_surrogate".

    Raises:
      UserError: for a model without a joint density.
    """
    if not model.says("log_joint"):
        raise UserError(
            "metric 'ais' needs a model with log_joint, such as a VAE, and this model has none\nuse --metrics=mse"
        )
    sizes = dict(chains=chains, temperatures=temperatures, leapfrog=leapfrog)
    requirements.at_least(1, ais_examples=examples, **{f"ais_{name}": size for name, size in sizes.items()})
    subsample, _ = data.test.spread(examples)
    found = gather(compiled(_estimates, model, **sizes), variables, subsample, key)
    name = "ais_nll_surrogate" if found["is_surrogate"].any() else "ais_nll"
    forward, reverse = found["forward"], found["reverse"]
    means = {"ais_forward_nll": float(forward.mean()), "ais_reverse_nll": float(reverse.mean())}
    return {**mean_with_error(name, found["nll"]), **means, **mean_with_error("ais_gap", forward - reverse)}


def _estimates(model, variables, batch, key, chains, temperatures, leapfrog):
    """Estimate -log p(x) [B] of a batch, and of as many examples drawn from the model."""
    key_codes, key_x, key_pilot, key_steps, key_start, key_run, key_reverse = jax.random.split(key, 7)
    codes = model.apply(variables, batch, method="prior_codes", rngs={"latent": key_codes})
    likelihood = model.apply(variables, codes, batch, method="decode")
    drawn = {**batch, "x": _drawn(model, variables, codes, likelihood, key_x)}

    def density_of(batch):
        return lambda z: model.apply(variables, z, batch, method="log_joint")

    # Real and drawn examples share the chains' loop, as halves of one batch.
    both = density_of(jax.tree.map(_joined, batch, drawn))
    ladder = _ladder(temperatures)
    size = len(batch["x"])

    def start(key, count):
        return _normal(key, tuple((count, 2 * size, *z.shape[2:]) for z in codes))

    steps = _step_sizes(both, start(key_pilot, _PILOT), ladder, leapfrog, key_steps)
    nll = -log_mean_exp(_anneal(both, start(key_start, chains), ladder, steps, leapfrog, key_run))
    exact = jax.tree.map(lambda z: jnp.broadcast_to(z, (chains, *z.shape[1:])), codes)
    # A reverse chain moves at the rung to which it just came down, with the step size that was found for that rung. Its
    # last move is at rung 0, for which none was found. Any step size will do there, because no weight depends on it.
    down = jnp.concatenate([steps[:1], steps[:-1]])[::-1, size:]
    reverse = log_mean_exp(_anneal(density_of(drawn), exact, ladder[::-1], down, leapfrog, key_reverse))
    surrogate = requirements.is_surrogate(likelihood, batch["x"])
    return {"nll": nll[:size], "forward": nll[size:], "reverse": reverse, "is_surrogate": surrogate}


def _drawn(model, variables, codes, likelihood, key):
    """Draw examples [B, *shape] from p(x|z)."""
    if model.reads_x:
        # An autoregressive decoder must read the events that it has drawn itself, and not those of the batch.
        return model.apply(variables, codes[-1][0], 1.0, method="write", rngs={"sampling": key})
    return likelihood.sample(key, 1)[0, 0]


def _joined(one, other):
    return jnp.concatenate([one, other])


def _normal(key, shapes):
    """Draw standard normal noise, one array for each layer."""
    return tuple(map(jax.random.normal, jax.random.split(key, len(shapes)), shapes))


def _ladder(temperatures: int) -> Any:
    """Return inverse temperatures [T + 1] from 0 to 1.

    They are densest at both ends (Wu et al. 2017, section 4).
    """
    rungs = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, temperatures + 1))
    return (rungs - rungs[0]) / (rungs[-1] - rungs[0])


class _Point(NamedTuple):
    """Latents, one array [S, B, D] for each layer, with log p(x, z) [S, B] and its gradient."""

    z: Any
    log_joint: Any
    gradient: Any

    def log_base(self):
        """Return log N(z; 0, I) [S, B]."""
        return sum(standard_normal(z.shape[-1:]).log_prob(z) for z in self.z)

    def slope(self, beta):
        """Return the gradient of (1 - beta) log N(z; 0, I) + beta log p(x, z)."""
        return jax.tree.map(lambda z, gradient: beta * gradient - (1 - beta) * z, self.z, self.gradient)


def _point(log_joint, z) -> _Point:
    value, pullback = jax.vjp(log_joint, z)
    # Each example's density depends on its own latent only, so one pullback of ones gives the gradients of all.
    return _Point(z, value, pullback(jnp.ones_like(value))[0])


def _anneal(log_joint, z, ladder, steps, leapfrog, key):
    """Run chains along the ladder and return their log importance weights [S, B].

    Args:
      log_joint: function z -> log p(x, z) [S, B].
      z: draws at the first rung of the ladder, one array [S, B, D] for each layer.
      ladder: inverse temperatures [T + 1].
      steps: step sizes [T, B] of the moves at all rungs but the first.
      leapfrog: how many leapfrog steps a move takes.
      key: random key.
    """

    def climb(carry, rung):
        (point, log_w), (here, there, step, key) = carry, rung
        # The weight is updated before the move, at the point that was drawn at the previous rung.
        # Neighbouring rungs may be equal after rounding, and log p(x, z) may be -inf.
        log_w += weighted(there - here, point.log_joint - point.log_base())
        return (_move(log_joint, point, there, step, leapfrog, key)[0], log_w), None

    point = _point(log_joint, z)
    rungs = (ladder[:-1], ladder[1:], steps, jax.random.split(key, len(steps)))
    return jax.lax.scan(climb, (point, jnp.zeros_like(point.log_joint)), rungs)[0][1]


def _step_sizes(log_joint, z, ladder, leapfrog, key):
    """Find step sizes [T, B] with which the right share of moves is accepted at each rung.

    Args:
      log_joint: function z -> log p(x, z) [S, B].
      z: draws of N(0, I), one array [S, B, D] for each layer. They start chains of their own: if the step sizes
        depended on the chains that are weighted, the weights would be biased.
      ladder: inverse temperatures [T + 1].
      leapfrog: how many leapfrog steps a move takes.
      key: random key.
    """

    def climb(carry, rung):
        (point, log_step), (there, key) = carry, rung
        point, accepted = _move(log_joint, point, there, jnp.exp(log_step), leapfrog, key)
        log_step += _ADAPTATION * (accepted.mean(axis=0) - _ACCEPTED)
        return (point, log_step), jnp.exp(log_step)

    first = jnp.full(z[0].shape[1], jnp.log(_FIRST_STEP))
    rungs = (ladder[1:], jax.random.split(key, len(ladder) - 1))
    return jax.lax.scan(climb, (_point(log_joint, z), first), rungs)[1]


def _move(log_joint, point, beta, step, leapfrog, key):
    """Make a transition of Hamiltonian Monte Carlo.

    It leaves the density proportional to N(z; 0, I)^(1 - beta) p(x, z)^beta invariant.

    Args:
      log_joint: function z -> log p(x, z) [S, B].
      point: the `_Point` to move from.
      beta: inverse temperature.
      step: step sizes [B].
      leapfrog: how many leapfrog steps are taken.
      key: random key.

    Returns:
      The new point, and the probability [S, B] that a proposal is accepted.
    """
    key_momentum, key_step, key_accept = jax.random.split(key, 3)
    # Steps have a random length, because a trajectory of fixed length could come back to where it started.
    step = (step * jax.random.uniform(key_step, minval=0.8, maxval=1.2))[None, :, None]

    def add(values, scale, changes):
        return jax.tree.map(lambda a, b: a + scale * b, values, changes)

    def log_density(point, momentum):
        kinetic = 0.5 * sum(jnp.square(p).sum(-1) for p in momentum)
        return (1 - beta) * point.log_base() + beta * point.log_joint - kinetic

    def leap(_, carry):
        at, momentum = carry
        momentum = add(momentum, 0.5 * step, at.slope(beta))
        at = _point(log_joint, add(at.z, step, momentum))
        return at, add(momentum, 0.5 * step, at.slope(beta))

    momentum = _normal(key_momentum, tuple(z.shape for z in point.z))
    proposal, last = jax.lax.fori_loop(0, leapfrog, leap, (point, momentum))
    gain = log_density(proposal, last) - log_density(point, momentum)
    # The comparison is false for a proposal that is not finite, which is thereby rejected.
    accepted = jnp.log(jax.random.uniform(key_accept, gain.shape)) < gain

    def choose(a, b):
        return jnp.where(accepted.reshape(*accepted.shape, *(1,) * (a.ndim - 2)), a, b)

    return jax.tree.map(choose, proposal, point), jnp.nan_to_num(jnp.exp(jnp.minimum(gain, 0)))
