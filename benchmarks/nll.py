"""Time -log p(x) of 20 images with 5,000 importance samples: JAX and pythae's `get_nll`.

The model is the VAE 784-500-20 with its first weights, and the images are those of the test set.

python benchmarks/nll.py --data=path/to/mnist [--torch_python=path/to/python] [--runs=5]
"""

import time

import pairs
import vae_mlp

IMAGES, SAMPLES = 20, 5000


def ours(folder):
    """Return (seconds, nats per image) of this package's metric nll."""
    import jax

    from ae_jax.evaluation.data import EvalData
    from ae_jax.evaluation.metrics import nll
    from ae_jax.experiments import configuration, experiment

    loaded = configuration.load("configs/vae_mlp.py:mnist")
    with loaded.unlocked():
        loaded.data.update(source="idx", dir=str(folder))
    built = experiment.build(loaded)
    variables = {"params": built.init(jax.random.key(0)).params}
    images = {name: values[:IMAGES] for name, values in built.splits["test"].items()}
    data = EvalData.of(test=list(built.held_out(images, IMAGES)))
    for _ in range(2):
        start = time.perf_counter()
        scores = nll.evaluate(built.model, variables, data, jax.random.key(1), samples=SAMPLES)
        seconds = time.perf_counter() - start
    return seconds, scores["nll_surrogate"]


def pythae(data):
    """Return (seconds, nats per image) of pythae's `get_nll`."""
    import os

    import torch

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    images = torch.from_numpy(pairs.mnist_images(data, "t10k")[:IMAGES].copy()).float().div(255)[:, None]
    model = vae_mlp.pythae_model()
    for _ in range(2):
        start = time.perf_counter()
        with torch.no_grad():
            # 100 is the default batch size. Despite its name, the method returns log p(x).
            log_p = model.get_nll(images, n_samples=SAMPLES, batch_size=100)
        seconds = time.perf_counter() - start
    return seconds, -float(log_p)


if __name__ == "__main__":
    pairs.main(__file__, __doc__, {"ours": ours, "pythae": pythae})
