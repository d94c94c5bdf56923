"""New examples: decoded from codes drawn from the model's prior, or by a sampler fitted to its codes."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.commands.apply import results, shared, userfiles
from ae_jax.core import lookup
from ae_jax.core.distributions import Normal, centre
from ae_jax.core.errors import UserError
from ae_jax.evaluation import samplers, second_stage


def run(
    trained,
    source,
    key,
    *,
    count: int = 16,
    sampler: str = "prior",
    temperature: float = 1.0,
    event_temperature: float = 0.0,
    render: bool = False,
    label: tuple = (),
    batch_size: int = 500,
) -> shared.Result:
    """`count` means of the likelihood: images sample_00.png, ..., melodies sample_00.mid, ..., or else one sample.npy.

    sampler: "prior", the model's own; a file of ae_jax/evaluation/samplers, fitted to the codes of training data; or
        the directory of a run that was trained on the latents of this one.
    Of --input it reads the labels alone, an .npz with `label`, taken in turn as those of --label are.
    temperature: what the prior's standard deviation is multiplied by.
    event_temperature: of melodies, the temperature at which each event is drawn; 0 takes the most probable one.
    """
    model = trained.experiment.model
    if source:
        label = _labels_in(source, label)
    if count < 1:
        raise UserError(f"--count={count}\nexpected at least 1")
    if not 0 <= temperature < float("inf"):
        raise UserError(f"--temperature={temperature}\nexpected a number of at least 0")
    form = results.sounding(results.form_of(trained.experiment.spec), render)
    if event_temperature and not (event_temperature > 0 and sampler == "prior" and model.says("write")):
        raise UserError(
            f"--event_temperature={event_temperature}\nexpected 0, or more with melodies of --sampler=prior"
        )
    if sampler == "prior":
        tempered = None if temperature == 1 else _tempered(trained, temperature)
        draw = _writing(model, tempered, event_temperature) if event_temperature else _generating(model, tempered)
        batch = {"mask": np.ones(count, np.float32)}
        means = shared.compute(trained, draw, batch, key, label, batch_size)
    elif temperature == 1:
        if second_stage.is_run(sampler):
            codes, label = _through(trained, sampler, key, count, label, batch_size)
        else:
            codes = _fitted(trained, sampler, key, count, batch_size)
        means = shared.means_at(trained, codes, key, label, batch_size)
    else:
        raise UserError("--temperature scales the noise of the model's prior\nexpected --sampler=prior")
    return shared.Result(results.rendered(means, results.numbered("sample", count), "sample", form))


def _labels_in(source, label):
    """`label` [N] or [N, L] of an .npz. Raises UserError."""
    path = pathlib.Path(source).expanduser()
    if path.suffix != ".npz" or not path.is_file() or len(label):
        also = f", and --label is {','.join(label)}" * bool(len(label))
        raise UserError(
            f"task 'sample' reads no examples, and --input is {source!r}{also}\n"
            "expected an .npz with labels; or leave it out, or try --task=decode"
        )
    found = userfiles.load_arrays(path, "label")
    return userfiles.label_of(path, found, len(np.atleast_1d(found["label"])))


def _generating(model, tempered):
    if not tempered and not model.says("generate"):
        others = ", ".join(lookup.choices("samplers"))
        raise UserError(
            "this model has no prior to draw codes from\n"
            f"try {f'--sampler=NAME, one of: {others}' if others else 'a model with a prior, such as a VAE'}"
        )

    def draw(variables, batch, key):
        if not tempered:
            return centre(model.apply(variables, batch, method="generate", rngs={"latent": key}))[0]
        return centre(model.apply(variables, tempered(variables, batch, key), batch, method="decode"))[0]

    return draw


def _writing(model, tempered, event_temperature):
    def draw(variables, batch, key):
        key_codes, key_events = jax.random.split(key)
        prior = lambda *given: model.apply(*given[:2], method="prior_codes", rngs={"latent": given[2]})
        z = (tempered or prior)(variables, batch, key_codes)[-1][0]
        return model.apply(variables, z, event_temperature, method="write", rngs={"sampling": key_events})

    return draw


def _tempered(trained, temperature):
    model, shape = trained.experiment.model, trained.experiment.input_shape

    def codes_of(variables, batch, key):
        key_encode, key_draw = jax.random.split(key)
        # What is encoded does not matter to the prior, which may depend on the label.
        count = len(batch["mask"])
        whole = {**batch, "inputs": jnp.zeros((count, *shape))}
        top, *others = model.apply(variables, whole, method="encode", rngs={"latent": key_encode})
        if others or not isinstance(top.prior, Normal):
            raise UserError("--temperature needs one layer of codes, with a normal prior\nleave it out")
        prior = top.prior.replace(log_scale=top.prior.log_scale + jnp.log(temperature))
        z = prior.sample(key_draw, count if prior.mean.ndim == 1 else 1)
        return (z.reshape(1, count, -1),)

    return codes_of


def _through(trained, workdir, key, count, label, batch_size):
    """Return latents [count, D] that a second-stage run draws, and the labels that are left for decoding them."""
    run = second_stage.opened(workdir, trained.model, trained.variables, trained.data)
    of_run = label if run.model.reads_label else ()
    draw, batch = functools.partial(second_stage.draws, run.model), {"mask": np.ones(count, np.float32)}
    drawn = shared.compute(run, draw, batch, key, of_run, batch_size)
    codes = np.asarray(second_stage.latents(run.spec, trained.model, trained.variables, drawn))
    return codes, () if run.model.reads_label and not trained.model.reads_label else label


def _fitted(trained, sampler, key, count, batch_size):
    """Codes [count, D] from a sampler fitted to those of the training data, each drawn once."""
    fit = second_stage.fit_of(sampler)
    key_encode, key_fit, key_draw = jax.random.split(key, 3)
    draw = functools.partial(samplers.one_draw, trained.experiment.model)
    batch = shared.batch_of(shared.own(trained, trained.data.train, "train"))
    codes = shared.compute(trained, draw, batch, key_encode, (), batch_size)
    return np.asarray(fit(codes, key_fit)(key_draw, count))
