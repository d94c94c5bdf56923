"""The user's examples as the model would have them: denoised, upscaled, varied, or just reconstructed."""

from ae_jax.commands.apply import results, shared
from ae_jax.core.distributions import centre
from ae_jax.evaluation import requirements


def run(
    trained,
    source,
    key,
    *,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
    attribute: tuple = (),
    render: bool = False,
) -> shared.Result:
    """Means of the likelihood, decoded from the code: the same kind of file, under the same names; a
    melody as the most probable events, with its piano roll.

    attribute: of melodies, NAME:AMOUNT, a function of ae_jax/data/music/attributes.py and how much more of it the code
        is given: 1 is from the quarter of the corpus with the least of it to that with the most.
    """
    examples, model = shared.read(trained, source, resize, track, start_bar), trained.experiment.model
    form = results.sounding(examples.form, render)

    def mean(variables, batch, key):
        code = requirements.latent_code(model.apply(variables, batch, rngs={"latent": key}))
        return centre(model.apply(variables, (code[None],), batch, method="decode"))[0]

    if attribute:
        codes = shared.codes_of(trained, examples, key, label, batch_size)
        codes += shared.shift(trained, attribute, key, label, batch_size)[None]
        means = shared.means_at(trained, codes, key, label, batch_size, examples.label)
    else:
        means = shared.compute(trained, mean, shared.batch_of(examples), key, label, batch_size)
    files = results.rendered(means, examples.names, examples.stem, form)
    return shared.Result(files, examples.originals, examples.unreadable)
