"""The user's examples as the model would have them: denoised, upscaled, or just reconstructed."""

from ae_jax import results, tasks


def run(trained, source, key, *, resize: bool = False, label: tuple = (), batch_size: int = 500) -> tasks.Result:
    """Means of the likelihood, decoded from the means of the posterior: the same kind of file, under the same names."""
    examples, model = tasks.read(trained, source, resize), trained.experiment.model

    def mean(variables, batch, key):
        latents = model.apply(variables, batch, method="encode", rngs={"latent": key})
        return model.apply(variables, tuple(map(_centre, latents)), batch, method="decode").mean[0]

    means = tasks.compute(trained, mean, tasks.batch_of(examples), key, label, batch_size)
    files = results.rendered(means, examples.names, examples.stem, examples.form)
    return tasks.Result(files, examples.originals, examples.unreadable)


def _centre(latent):
    """[S, B, D]: the mean of a latent's posterior; the code itself where nothing is random."""
    return latent.sample if latent.posterior is None else latent.posterior.mean.reshape(latent.sample.shape)
