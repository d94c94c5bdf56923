r"""Super-resolution: the model adds details to a cubic enlargement of a smaller image.

The inputs have a half or a quarter of the width and height, and are means over squares of pixels. The baseline
is bicubic interpolation, whose mean PSNR on the test images of Fashion-MNIST is 19.31 dB (2x) and 16.03 dB (4x).

    python scripts/reproduce.py super_resolution
    python scripts/apply.py --workdir=runs/reproduce/super_resolution_2x --task=reconstruct \
        --input=small/ --output=large/
"""

from configs import ae, common

# {factor: mean PSNR of the test images that we obtained earlier}.
_OBTAINED = {2: 23.56, 4: 21.15}


def get_config(arg=""):
    config, arguments = common.start(arg, data="fashion_mnist", parent=ae, factor=2)
    config.corruption = dict(name="downsample", factor=arguments.factor)
    config.model.update(hidden=(1024, 512), decoder_hidden=(1024,), latent_dim=0, likelihood="gaussian", scale=0.1)
    # The enlarged inputs are added to the decoder's outputs, so that the network has to learn only the details.
    config.model.residual = True
    config.train.update(steps=None, epochs=20)
    config.data.validation = 0
    config.eval.update(metrics=("psnr", "ssim", "baselines"), criterion="psnr_db")
    config.expected.psnr_db = dict(metric="baseline_psnr_db", source="bicubic")
    if arguments.factor in _OBTAINED:
        config.regression = dict(psnr_db=dict(value=_OBTAINED[arguments.factor]))
    return common.finish(config, arguments, expected_on=("fashion_mnist",))


def rows():
    return {f"super_resolution_{factor}x": f"fashion_mnist,factor={factor}" for factor in (2, 4)}
