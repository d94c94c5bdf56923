"""-log p(x) by annealed importance sampling, in nats, and how far off that is on data that the model itself draws.

Neal 2001, "Annealed importance sampling"; Wu et al. 2017, "On the quantitative analysis of decoder-based generative
models", arXiv:1611.04273, for deep generative models; Grosse et al. 2015, arXiv:1511.02543, for the check.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ae_jax.core.distributions import standard_normal
from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_mean_exp
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"ais_nll": "min"}

_ACCEPTED = 0.65  # the share of proposals that the step size aims at (Wu et al. 2017, section 4)
_PILOT = 4  # chains that find the step sizes
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
    """-log p(x) of so many `examples`, by `chains` chains each, from N(0, I) to p(x, z) in `temperatures` transitions
    of Hamiltonian Monte Carlo of `leapfrog` steps: above the truth in expectation, without help of the encoder.

    As many examples are drawn from the model, whose codes are then exact draws of p(z|x): "ais_forward_nll" is of them,
    "ais_reverse_nll", from chains that run back from those codes, is below the truth in expectation, and "ais_gap" is
    the difference, which bounds the error of both. A Bernoulli of grey levels is no density: "ais_nll_surrogate".
    Raises UserError for a model without a density over codes.
    """
    if not model.says("log_joint"):
        raise UserError(
            "metric 'ais' needs a model with log_joint, such as a VAE; this one has none\ntry --metrics=mse"
        )
    sizes = dict(examples=examples, chains=chains, temperatures=temperatures, leapfrog=leapfrog)
    requirements.at_least(1, **{f"ais_{name}": size for name, size in sizes.items()})
    spread, _ = data.test.spread(examples)
    found = gather(compiled(_estimates, model, **sizes), variables, spread, key)
    name = "ais_nll_surrogate" if found["is_surrogate"].any() else "ais_nll"
    forward, reverse = found["forward"], found["reverse"]
    means = {"ais_forward_nll": float(forward.mean()), "ais_reverse_nll": float(reverse.mean())}
    return {**mean_with_error(name, found["nll"]), **means, **mean_with_error("ais_gap", forward - reverse)}


def _estimates(model, variables, batch, key, examples, chains, temperatures, leapfrog):
    batch = {name: values[:examples] for name, values in batch.items()}
    key_codes, key_x, key_pilot, key_steps, key_start, key_run, key_reverse = jax.random.split(key, 7)
    codes = model.apply(variables, batch, method="prior_codes", rngs={"latent": key_codes})
    likelihood = model.apply(variables, codes, batch, method="decode")
    drawn = {**batch, "x": _drawn(model, variables, codes, likelihood, key_x)}
    density = lambda batch: lambda z: model.apply(variables, z, batch, method="log_joint")
    both, ladder, size = density(jax.tree.map(_joined, batch, drawn)), _ladder(temperatures), len(batch["x"])
    start = lambda key, n: _normal(key, tuple((n, 2 * size, *z.shape[2:]) for z in codes))
    steps = _step_sizes(both, start(key_pilot, _PILOT), ladder, leapfrog, key_steps)
    nll = -log_mean_exp(_anneal(both, start(key_start, chains), ladder, steps, leapfrog, key_run))
    exact = jax.tree.map(lambda z: jnp.broadcast_to(z, (chains, *z.shape[1:])), codes)
    # Down the ladder the moves are at the rung below, but for the last, at 0, which no weight sees.
    down = jnp.concatenate([steps[:1], steps[:-1]])[::-1, size:]
    reverse = log_mean_exp(_anneal(density(drawn), exact, ladder[::-1], down, leapfrog, key_reverse))
    surrogate = requirements.is_surrogate(likelihood, batch["x"])
    return {"nll": nll[:size], "forward": nll[size:], "reverse": reverse, "is_surrogate": surrogate}


def _drawn(model, variables, codes, likelihood, key):
    """Draws of p(x|codes) [B, *shape]. A likelihood that is told x has a draw's own beginning in place of it."""
    if model.reads_x:
        return model.apply(variables, codes[-1][0], 1.0, method="write", rngs={"sampling": key})
    return likelihood.sample(key, 1)[0, 0]


def _joined(one, other):
    return jnp.concatenate([one, other])


def _normal(key, shapes):
    """Standard normal noise, one array a layer."""
    return tuple(map(jax.random.normal, jax.random.split(key, len(shapes)), shapes))


def _ladder(temperatures: int) -> Any:
    """[T + 1], from 0 to 1, densest at either end (Wu et al. 2017, section 4)."""
    rungs = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, temperatures + 1))
    return (rungs - rungs[0]) / (rungs[-1] - rungs[0])


class _Point(NamedTuple):
    """Codes, one array [S, B, D] a layer, with log p(x, z) [S, B] and its gradient."""

    z: Any
    log_joint: Any
    gradient: Any

    def log_base(self):
        return sum(standard_normal(z.shape[-1:]).log_prob(z) for z in self.z)

    def slope(self, beta):
        """The gradient of (1 - beta) log N(z; 0, I) + beta log p(x, z)."""
        return jax.tree.map(lambda z, gradient: beta * gradient - (1 - beta) * z, self.z, self.gradient)


def _point(log_joint, z) -> _Point:
    value, pullback = jax.vjp(log_joint, z)
    return _Point(z, value, pullback(jnp.ones_like(value))[0])


def _anneal(log_joint, z, ladder, steps, leapfrog, key):
    """log weights [S, B] of chains that start at z, a draw at the ladder's first rung, and are moved along it.

    steps: [T, B], of the moves at all rungs but the first.
    """

    def climb(carry, rung):
        (point, log_w), (here, there, step, key) = carry, rung
        log_w += (there - here) * (point.log_joint - point.log_base())
        return (_move(log_joint, point, there, step, leapfrog, key)[0], log_w), None

    point = _point(log_joint, z)
    rungs = (ladder[:-1], ladder[1:], steps, jax.random.split(key, len(steps)))
    return jax.lax.scan(climb, (point, jnp.zeros_like(point.log_joint)), rungs)[0][1]


def _step_sizes(log_joint, z, ladder, leapfrog, key):
    """[T, B]: step sizes at which moves at each rung are accepted as often as they should be.

    They are found by chains of their own: were they to depend on those that are weighed, the weights would be biased.
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
    """A Hamiltonian transition that leaves N(z; 0, I)^(1 - beta) p(x, z)^beta invariant, with steps [B].

    Answers the new point and the probability of acceptance [S, B].
    """
    key_momentum, key_step, key_accept = jax.random.split(key, 3)
    # Steps of random length, lest a trajectory come back to where it started.
    step = (step * jax.random.uniform(key_step, minval=0.8, maxval=1.2))[None, :, None]
    add = lambda values, scale, changes: jax.tree.map(lambda a, b: a + scale * b, values, changes)
    energy = lambda point, momentum: (
        (1 - beta) * point.log_base() + beta * point.log_joint - 0.5 * sum(jnp.square(p).sum(-1) for p in momentum)
    )

    def leap(_, carry):
        at, momentum = carry
        momentum = add(momentum, 0.5 * step, at.slope(beta))
        at = _point(log_joint, add(at.z, step, momentum))
        return at, add(momentum, 0.5 * step, at.slope(beta))

    momentum = _normal(key_momentum, tuple(z.shape for z in point.z))
    proposal, last = jax.lax.fori_loop(0, leapfrog, leap, (point, momentum))
    gain = energy(proposal, last) - energy(point, momentum)
    accepted = jnp.log(jax.random.uniform(key_accept, gain.shape)) < gain  # false where a proposal is not finite
    choose = lambda a, b: jnp.where(accepted.reshape(*accepted.shape, *(1,) * (a.ndim - 2)), a, b)
    return jax.tree.map(choose, proposal, point), jnp.nan_to_num(jnp.exp(jnp.minimum(gain, 0)))
