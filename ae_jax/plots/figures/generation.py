"""Samples of autoencoders without a prior, beside samples of other runs.

Their latents are drawn from distributions that are fitted to the latents of training examples.
"""

import functools
from collections.abc import Iterator

import jax
import numpy as np

from ae_jax.evaluation import comparable, requirements, second_stage
from ae_jax.plots import queries, style

# How many training examples are encoded for a sampler, evenly spread.
_CODES = 10000


def arrays(
    model, variables, data, key, *, runs: tuple = (), count: int = 12, samplers: tuple = ("gaussian", "mixture")
) -> dict[str, np.ndarray]:
    """Generate examples with this run and others.

    Latents are drawn from the prior of a run or, for a run without one, from samplers that are fitted to the latents of
    its training examples; and through runs that were trained on the latents of one of these.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      runs: directories of other runs to compare with.
      count: how many examples each run generates with each sampler.
      samplers: names of files in ae_jax/evaluation/samplers, for runs without a prior; or directories of runs on
        data.source=codes, each for the run on whose latents it was trained.

    Returns:
      "samples" [R, count, *shape], means of the likelihood; "names" [R], of the run and the prior or sampler; "limits".

    Raises:
      UserError: for an unknown sampler, or one of another run, or if the runs have examples of another shape or kind.
    """
    requirements.at_least(1, generation_count=count)
    # Unknown names are found before any run is opened.
    seconds = [name for name in samplers if second_stage.is_run(name)]
    fits = {name: second_stage.fit_of(name) for name in samplers if name not in seconds}
    opened = [(model, variables, data), *comparable.opened(data, runs, model.spec)]
    owners = _owners(seconds, opened)
    rows = {}
    for number, (name, of_run) in enumerate(zip(comparable.names(runs), opened, strict=True)):
        if queries.has_prior(of_run[0]):
            rows[f"{name}: prior"] = queries.generate(*of_run[:2], key, count)
        else:
            rows |= {f"{name}: {sampler}": means for sampler, means in _fitted(fits, *of_run, key, count)}
        for sampler, second in zip(comparable.names(seconds)[1:], seconds, strict=True):
            if owners[second] == number:
                rows[f"{name}: {sampler}"] = through(second, *of_run, key, count)
    samples = np.stack(list(rows.values()))
    return {"samples": samples, "names": np.array(list(rows)), "limits": style.limits(model.spec, samples)}


def _owners(seconds, opened) -> dict[str, int]:
    """Return {second-stage run: number of the run on whose latents it was trained}.

    The number is 0 if that run is not among the opened ones.
    """
    digests = [comparable.digest(variables) for _, variables, _ in opened]
    data, found = opened[0][2], {}
    for second in seconds:
        digest = data.open_run(second).experiment.config.data.get("digest")
        found[second] = digests.index(digest) if digest in digests else 0
    return found


def _fitted(fits, model, variables, data, key, count) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each sampler, and the decoded means at latents that it draws.

    The samplers are fitted to latents of training examples.
    """
    if not fits:
        return
    key_encode, key_fit, key_draw = jax.random.split(key, 3)
    codes = _training_codes(model, variables, data, key_encode)
    for sampler, fit in fits.items():
        yield sampler, queries.decode(model, variables, np.asarray(fit(codes, key_fit)(key_draw, count)))


def through(workdir, model, variables, data, key, count) -> np.ndarray:
    """Return the decoded means at latents that a second-stage run draws.

    A model that reads labels receives each class in turn.
    """
    run = second_stage.opened(workdir, model, variables, data)
    label = np.arange(count) % model.spec.classes if model.spec.classes else np.zeros((), int)
    draw = jax.jit(functools.partial(second_stage.draws, run.model))
    drawn = draw(run.variables, {"mask": np.ones(count, np.float32), "label": label}, key)
    return queries.decode(model, variables, np.asarray(second_stage.latents(run.spec, model, variables, drawn)), label)


def _training_codes(model, variables, data, key):
    """Return the latents [N, D] of training examples, evenly spread over the training split."""

    def per_example(variables, batch, key):
        return {"code": queries.encode(model, variables, batch, key)}

    train, _ = data.train.spread(_CODES)
    return queries.gather(per_example, variables, train, key, _CODES)["code"]


@style.styled
def figure(arrays):
    """Draw a row for each run and sampler."""
    return style.grid(arrays["samples"], arrays["limits"], row_labels=list(map(str, arrays["names"])))
