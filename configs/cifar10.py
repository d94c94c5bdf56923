"""Colour images of 32x32 pixels: a residual VAE with a likelihood over pixel levels.

Blocks as in He et al. 2016, arXiv:1603.05027; likelihood of Salimans et al. 2017, "PixelCNN++", arXiv:1701.05517.
`elbo_bits_per_dim` is an upper bound on -log2 p(x) / 3072, and `nll_bits_per_dim` estimates it by importance sampling.
The config has been run on digits and generated images only. The files of CIFAR-10 were not available, so there is no
expected value.

    python scripts/train.py --config=configs/cifar10.py --workdir=runs/cifar10
    python scripts/evaluate.py --workdir=runs/cifar10 --metrics=bits_per_dimension --bits_per_dimension_samples=100
    python scripts/train.py --config=configs/cifar10.py:mnist --workdir=runs/mnist_bits
"""

from configs import common

DATASETS = {**common.DATASETS, "generated": 64, "cifar10": 5000, "celeb_a": 5000}


def get_config(arg=""):
    config, arguments = common.start(arg, data="cifar10", datasets=DATASETS)
    config.model.update(name="vae", prior="standard_normal", posterior="diagonal_normal")
    config.model.update(encoder="conv_resnet", decoder="conv_resnet", channels=(64, 128, 256), blocks=2, attention=8)
    config.model.update(hidden=(), latent_dim=128, likelihood="discretized_logistic_mixture", mixtures=10)
    # The KL warm-up guards against posterior collapse before the decoder has learned to use the latent.
    config.weights.kl = "linear:0:1:2000"
    config.optimizer.update(learning_rate=5e-4, clip=100.0)
    config.train.ema = 0.999
    config.train.update(dict(steps=3000) if arguments.data in ("digits", "generated") else dict(epochs=100))
    config.eval.update(metrics=("elbo", "bits_per_dimension"), criterion="elbo_bits_per_dim")
    if arguments.smoke:
        config.model.update(channels=(4,), blocks=1)
    return common.finish(config, arguments)
