"""Denoising autoencoder: Gaussian noise of standard deviation 0.4, clipped to [0, 1].

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders", ICML 25. Keras example
(Valdarrama 2021): 0.0839 nats per pixel after 100 epochs. Training starts from the trained weights of `conv_ae`. The
example draws the noise once; this config draws it anew at every step.

    python scripts/reproduce.py denoising_ae     (first trains conv_ae, where it is not there)
    python scripts/reproduce.py denoising_salt_and_pepper denoising_masking denoising_bright
    python scripts/train.py --config=configs/denoising_ae.py:digits,noise=masking --workdir=runs/denoise
    python scripts/plot.py --workdir=runs/denoise --figures=restoration
"""

from ae_jax.core import errors
from configs import common, conv_ae

_NOISES = {
    "gaussian": dict(name="gaussian", level=0.4, mean=0.0),
    "bright": dict(name="gaussian", level=0.3, mean=0.5),
    "salt_and_pepper": dict(name="salt_and_pepper", level=0.2),
    "masking": dict(name="masking", level=0.5),
}
# {noise: mean PSNR of the test images that we obtained earlier, after 5 epochs}.
_OBTAINED = {"bright": 20.38, "salt_and_pepper": 21.87, "masking": 21.98}


def get_config(arg=""):
    config, arguments = common.start(arg, parent=conv_ae, pretrained=False, noise="gaussian")
    if arguments.noise not in _NOISES:
        raise errors.unknown("noise", arguments.noise, _NOISES)
    config.corruption = dict(**_NOISES[arguments.noise], clip=True)
    config.eval.metrics = ("bce", "mse", "psnr", "ssim", "baselines")
    if arguments.pretrained:
        config.train.init_from = "conv_ae"
    if arguments.data != "digits":
        config.train.epochs = 100 if arguments.pretrained else 5
    if arguments.pretrained:
        config.expected.bce_nats_per_pixel = dict(value=0.0839, source="Keras example")
    else:
        config.expected = dict(psnr_db=dict(metric="baseline_psnr_db", source="the noisy images"))
        if arguments.noise in _OBTAINED:
            config.regression = dict(psnr_db=dict(value=_OBTAINED[arguments.noise]))
    return common.finish(config, arguments)


def rows():
    quick = {f"denoising_{noise}": f"mnist,noise={noise}" for noise in _NOISES if noise != "gaussian"}
    return {"denoising_ae": "mnist,pretrained", **quick}
