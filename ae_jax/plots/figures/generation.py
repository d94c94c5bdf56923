"""New examples of plain autoencoders, by distributions fitted to their codes, beside those of models with a prior."""

import jax
import numpy as np

from ae_jax.core import lookup
from ae_jax.evaluation import comparable
from ae_jax.plots import queries, style

_CODES = 10000  # training codes that a sampler is fitted to, evenly spread


def arrays(
    model, variables, data, key, *, runs: tuple = (), count: int = 12, samplers: tuple = ("gaussian", "mixture")
) -> dict[str, np.ndarray]:
    """ "samples" [R, N, *shape]: means of the likelihood at `count` codes. Of this run and the other `runs`, drawn from
    the prior where there is one, else from each of the `samplers` (`ae_jax.evaluation.samplers`), fitted to training
    codes; "names" [R].

    Raises UserError for an unknown sampler, and where the runs' examples are not alike.
    """
    queries.at_least(1, count=count)
    fits = {name: lookup.find("samplers", name, "fit") for name in samplers}
    opened, rows = [(model, variables, data), *comparable.opened(data, runs, model.spec)], {}
    for name, (other, its_variables, its_data) in zip(comparable.names(runs), opened, strict=True):
        if queries.has_prior(other):
            rows[f"{name}: prior"] = queries.generate(other, its_variables, key, count)
            continue
        key_encode, key_fit, key_draw = jax.random.split(key, 3)
        encode = lambda variables, batch, key, m=other: {"code": queries.encode(m, variables, batch, key)}
        train, _ = its_data.train.spread(_CODES)
        codes = queries.gather(encode, its_variables, train, key_encode, _CODES)["code"]
        for sampler, fit in fits.items():
            drawn = fit(codes, key_fit)(key_draw, count)
            rows[f"{name}: {sampler}"] = queries.decode(other, its_variables, np.asarray(drawn))
    samples = np.stack(list(rows.values()))
    return {"samples": samples, "names": np.array(list(rows)), "limits": style.limits(model.spec, samples)}


@style.styled
def figure(arrays):
    """A row a distribution of codes."""
    return style.grid(arrays["samples"], arrays["limits"], row_labels=list(map(str, arrays["names"])))
