"""Denoising: `conv_ae`, from its trained weights, on images with Gaussian noise of 0.4 clipped to [0, 1].

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders", ICML 25. Keras example
(Valdarrama 2021): 0.0839 nats a pixel after 100 epochs; there the noise is drawn once, here afresh at every step.

    python scripts/reproduce.py denoising_ae     (first trains conv_ae, where it is not there)
    python scripts/train.py --config=configs/denoising_ae.py:digits --workdir=runs/denoise
    python scripts/plot.py --workdir=runs/denoise --figures=restoration
"""

from configs import common, conv_ae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=conv_ae, pretrained=False)
    config.corruption = dict(name="gaussian", level=0.4, mean=0.0, clip=True)
    config.eval.metrics = ("bce", "mse", "psnr", "ssim", "baselines")
    if arguments.pretrained:
        config.train.init_from = "conv_ae"
    if arguments.data != "digits":
        config.train.epochs = 100
    config.expected.bce_nats_per_pixel.update(value=0.0839)
    return common.finish(config, arguments)


def rows():
    return {"denoising_ae": "mnist,pretrained"}
