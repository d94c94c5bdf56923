"""Samples of autoencoders without a prior, from distributions fitted to their latents, beside those of other runs."""

import jax
import numpy as np

from ae_jax.core import lookup
from ae_jax.evaluation import comparable, requirements
from ae_jax.plots import queries, style

# How many training examples are encoded for a sampler, evenly spread.
_CODES = 10000


def arrays(
    model, variables, data, key, *, runs: tuple = (), count: int = 12, samplers: tuple = ("gaussian", "mixture")
) -> dict[str, np.ndarray]:
    """Generate examples with this run and others.

    Latents are drawn from the prior of a run or, for a run without one, from samplers that are fitted to the latents of
    its training examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      runs: directories of other runs to compare with.
      count: how many examples each run generates with each sampler.
      samplers: names of files in ae_jax/evaluation/samplers, for runs without a prior.

    Returns:
      "samples" [R, count, *shape], means of the likelihood; "names" [R], of the run and the prior or sampler; "limits".

    Raises:
      UserError: for an unknown sampler, or if the runs have examples of another shape or kind.
    """
    requirements.at_least(1, generation_count=count)
    # Unknown names are found before any run is opened.
    fits = {name: lookup.find("samplers", name, "fit") for name in samplers}
    opened = [(model, variables, data), *comparable.opened(data, runs, model.spec)]
    rows = {}
    for name, (its_model, its_variables, its_data) in zip(comparable.names(runs), opened, strict=True):
        if queries.has_prior(its_model):
            rows[f"{name}: prior"] = queries.generate(its_model, its_variables, key, count)
            continue
        key_encode, key_fit, key_draw = jax.random.split(key, 3)
        codes = _training_codes(its_model, its_variables, its_data, key_encode)
        for sampler, fit in fits.items():
            drawn = fit(codes, key_fit)(key_draw, count)
            rows[f"{name}: {sampler}"] = queries.decode(its_model, its_variables, np.asarray(drawn))
    samples = np.stack(list(rows.values()))
    return {"samples": samples, "names": np.array(list(rows)), "limits": style.limits(model.spec, samples)}


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
