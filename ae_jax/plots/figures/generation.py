"""New examples of plain autoencoders, by distributions fitted to their codes, beside those of models with a prior."""

import functools
from collections.abc import Iterator

import jax
import numpy as np

from ae_jax.evaluation import comparable, second_stage
from ae_jax.plots import queries, style

_CODES = 10000  # training codes that a sampler is fitted to, evenly spread


def arrays(
    model, variables, data, key, *, runs: tuple = (), count: int = 12, samplers: tuple = ("gaussian", "mixture")
) -> dict[str, np.ndarray]:
    """Decode new latents of this run and of others.

    Args:
      model: the model of this run.
      variables: its variables.
      data: its data.
      key: the random key.
      runs: directories of other runs.
      count: how many latents are drawn from each distribution.
      samplers: names of files in ae_jax/evaluation/samplers, fitted to training codes where a run has no prior; or
        directories of runs on `data.source=codes`, through each of which the run is sampled whose latents it learned.

    Returns:
      {"samples": [R, count, *shape], means of the likelihood; "names": [R]; "limits"}, a row for each distribution.

    Raises:
      UserError: there is no such sampler, it belongs to none of the runs, or the runs' examples are not alike.
    """
    queries.at_least(1, count=count)
    seconds = [name for name in samplers if second_stage.is_run(name)]
    fits = {name: second_stage.fit_of(name) for name in samplers if name not in seconds}
    opened, rows = [(model, variables, data), *comparable.opened(data, runs, model.spec)], {}
    through = _owners(seconds, opened)
    for number, (name, of_run) in enumerate(zip(comparable.names(runs), opened, strict=True)):
        if queries.has_prior(of_run[0]):
            rows[f"{name}: prior"] = queries.generate(*of_run[:2], key, count)
        else:
            rows |= {f"{name}: {sampler}": means for sampler, means in _fitted(fits, *of_run, key, count)}
        for sampler, second in zip(comparable.names(seconds)[1:], seconds, strict=True):
            if through[second] == number:
                rows[f"{name}: {sampler}"] = _through(second, *of_run, key, count)
    samples = np.stack(list(rows.values()))
    return {"samples": samples, "names": np.array(list(rows)), "limits": style.limits(model.spec, samples)}


def _owners(seconds, opened) -> dict[str, int]:
    """Return {second-stage run: number of the run on whose latents it was trained}; 0 where there is none such."""
    digests = [comparable.digest(variables) for _, variables, _ in opened]
    data, found = opened[0][2], {}
    for second in seconds:
        digest = data.open_run(second).experiment.config.data.get("digest")
        found[second] = digests.index(digest) if digest in digests else 0
    return found


def _fitted(fits, model, variables, data, key, count) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (sampler, means at latents that it draws) for each sampler, fitted to the run's training codes."""
    key_encode, key_fit, key_draw = jax.random.split(key, 3)
    encode = lambda variables, batch, key: {"code": queries.encode(model, variables, batch, key)}
    train, _ = data.train.spread(_CODES)
    codes = queries.gather(encode, variables, train, key_encode, _CODES)["code"]
    for sampler, fit in fits.items():
        yield sampler, queries.decode(model, variables, np.asarray(fit(codes, key_fit)(key_draw, count)))


def _through(workdir, model, variables, data, key, count) -> np.ndarray:
    """Return the means at latents that a second-stage run draws; each class in turn, where it is read."""
    run = second_stage.opened(workdir, model, variables, data)
    label = np.arange(count) % model.spec.classes if model.spec.classes else np.zeros((), int)
    draw = jax.jit(functools.partial(second_stage.draws, run.model))
    drawn = draw(run.variables, {"mask": np.ones(count, np.float32), "label": label}, key)
    return queries.decode(model, variables, np.asarray(second_stage.latents(run.spec, model, variables, drawn)), label)


@style.styled
def figure(arrays):
    """A row a distribution of codes."""
    return style.grid(arrays["samples"], arrays["limits"], row_labels=list(map(str, arrays["names"])))
