"""Autoencoder with discrete codes: a 7x7 grid of indices for an image of 28x28.

The quantizer can be chosen.

van den Oord et al. 2017, "Neural discrete representation learning", arXiv:1711.00937. `:quantizer=NAME` takes another
one of ae_jax/models/quantizers, of 10 bits at each place. `:keras` is the protocol of the Keras example
"Vector-quantized variational autoencoders" (Paul 2021): K = 128, D = 16, a codebook that a loss moves. `:binary`
explains binarised pixels, as `:mnist_static` does, so that the metric `bits` bounds -log2 p(x).

    python scripts/train.py --config=configs/vq_vae.py:mnist --workdir=runs/vq
    python scripts/evaluate.py --workdir=runs/vq --metrics=mse,codebook
    python scripts/train.py --config=configs/transformer_prior.py --config.data.path=runs/vq --workdir=runs/vq_prior
    python scripts/apply.py --workdir=runs/vq --task=sample --sampler=runs/vq_prior --output=new/
"""

import math

from ae_jax.core import errors
from configs import common

DATASETS = {**common.DATASETS, "mnist_static": 10000}
# {quantizer: (keys of section model, weights of its penalties)}
_QUANTIZERS = {
    "vq": (dict(codes=1024, dead_below=0.1), dict(commitment=0.25)),
    "fsq": (dict(levels=(8, 5, 5, 5)), {}),
    "lfq": (dict(bits=10), dict(commitment=0.25, entropy=0.1, diversity=0.1)),
    "residual_vq": (dict(codes=32, depth=2, dead_below=0.1), dict(commitment=0.25)),
}
_VARIANCE = 0.0949  # of a grey pixel of MNIST over the training images


def get_config(arg=""):
    config, arguments = common.start(arg, datasets=DATASETS, quantizer="vq", keras=False, binary=False)
    if arguments.quantizer not in _QUANTIZERS:
        raise errors.unknown("quantizer", arguments.quantizer, _QUANTIZERS)
    keys, weights = _QUANTIZERS[arguments.quantizer]
    config.model.update(name="vq_vae", quantizer=arguments.quantizer, latent_dim=16, spatial=True, **keys)
    config.model.update(encoder="conv", decoder="conv", channels=(32, 64), kernel=3, final_kernel=3)
    config.model.update(likelihood="gaussian", scale=0.1)
    config.objective = dict(name="reconstruction", num_samples=1)
    config.weights = dict(reconstruction=1.0, **weights)
    config.eval.update(metrics=("mse", "codebook"), criterion="mse_per_pixel")
    is_static = arguments.data == "mnist_static"
    if arguments.binary and not is_static:
        config.data.binarize = "fixed"
    if arguments.binary or is_static:
        config.model.update(likelihood="bernoulli", scale=None)
    if arguments.data == "digits" and "codes" in keys:
        config.model.codes = 16 if arguments.smoke else 64
    if arguments.data == "digits":
        config.train.steps = 3000
    else:
        config.train.epochs = 30
    if arguments.keras:
        _keras(config)
    return common.finish(config, arguments)


def _keras(config):
    """Set the protocol of the Keras example.

    Its loss is ours divided by 784, as the latent has 784 numbers too.
    """
    config.model.update(codes=128, update="loss", start="uniform", dead_below=0.0, kernel_init="glorot_uniform")
    config.model.update(centre=0.5, project=False, scale=math.sqrt(_VARIANCE / 2))
    config.weights = dict(reconstruction=1.0, codebook=1.0, commitment=0.25)
    config.optimizer.eps = 1e-7
    config.data.validation = 0
    config.train.update(log_every=469, eval_every=0)
    config.eval.metrics = ("mse", "codebook", "training")
    # Keras divides the squared error by the variance, and both by 784, and adds no constant of a density.
    constant = 0.5 * math.log(math.pi * _VARIANCE)
    source = "Keras example, 0.0444 of the variance"
    config.expected.training_reconstruction = dict(value=784 * (0.0444 + constant), source=source)
    # Its "VQ loss" 0.1682 is the codebook's loss plus 0.25 times the commitment, which has the same value.
    source = "Keras example, VQ loss 0.1682"
    config.expected.training_commitment = dict(value=784 * 0.1682 / 1.25, judged=False, source=source)


def rows():
    return {"vq_vae_keras": "mnist,keras"}
