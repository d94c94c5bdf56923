"""New examples: decoded from codes drawn from the model's prior, or by a sampler fitted to its codes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import lookup, results, samplers, tasks
from ae_jax.distributions import Normal
from ae_jax.errors import UserError


def run(
    trained,
    source,
    key,
    *,
    count: int = 16,
    sampler: str = "prior",
    temperature: float = 1.0,
    label: tuple = (),
    batch_size: int = 500,
) -> tasks.Result:
    """`count` means of the likelihood: images sample_00.png, ..., or one sample.npy where the data are no images.

    sampler: "prior", the model's own; or a file of ae_jax/samplers, fitted to the codes of the training data.
    temperature: what the prior's standard deviation is multiplied by.
    """
    if source:
        raise UserError(f"task 'sample' reads nothing, and --input is {source!r}\nleave it out, or try --task=decode")
    if count < 1 or not 0 <= temperature < float("inf"):
        raise UserError(f"--count={count} --temperature={temperature}\nexpected at least 1, and a number of at least 0")
    if sampler == "prior":
        draw = _generate(trained) if temperature == 1 else _tempered(trained, temperature)
        batch = {"mask": np.ones(count, np.float32)}
        means = tasks.compute(trained, draw, batch, key, label, batch_size)
    elif temperature == 1:
        codes = _fitted(trained, sampler, key, count, batch_size)
        means = tasks.means_at(trained, codes, key, label, batch_size)
    else:
        raise UserError("--temperature scales the noise of the model's prior\nexpected --sampler=prior")
    names = results.numbered("sample", count)
    return tasks.Result(results.rendered(means, names, "sample", results.form_of(trained.experiment.spec)))


def _generate(trained):
    model = trained.experiment.model
    if not hasattr(model, "generate"):
        others = ", ".join(lookup.choices("samplers"))
        raise UserError(
            "this model has no prior to draw codes from\n"
            f"try {f'--sampler=NAME, one of: {others}' if others else 'a model with a prior, such as a VAE'}"
        )
    return lambda variables, batch, key: model.apply(variables, batch, method="generate", rngs={"latent": key}).mean[0]


def _tempered(trained, temperature):
    model, shape = trained.experiment.model, tasks.input_shape(trained)

    def draw(variables, batch, key):
        key_encode, key_draw = jax.random.split(key)
        # What is encoded does not matter to the prior, which may depend on the label.
        count = len(batch["mask"])
        whole = {**batch, "inputs": jnp.zeros((count, *shape))}
        top, *others = model.apply(variables, whole, method="encode", rngs={"latent": key_encode})
        if others or not isinstance(top.prior, Normal):
            raise UserError("--temperature needs one layer of codes, with a normal prior\nleave it out")
        prior = top.prior.replace(log_scale=top.prior.log_scale + jnp.log(temperature))
        z = prior.sample(key_draw, count if prior.mean.ndim == 1 else 1)
        return model.apply(variables, (z.reshape(1, count, -1),), batch, method="decode").mean[0]

    return draw


def _fitted(trained, sampler, key, count, batch_size):
    """Codes [count, D] from a sampler fitted to those of the training data, each drawn once."""
    fit = lookup.find("samplers", sampler, "fit")
    key_encode, key_fit, key_draw = jax.random.split(key, 3)
    draw = functools.partial(samplers.one_draw, trained.experiment.model)
    batch = tasks.batch_of(tasks.own(trained, "train", "train"))
    codes = tasks.compute(trained, draw, batch, key_encode, (), batch_size)
    return np.asarray(fit(codes, key_fit)(key_draw, count))
