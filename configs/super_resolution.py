r"""Super-resolution: the model adds details to a cubic enlargement of a smaller image.

The inputs have a half or a quarter of the width and height, and are means over squares of pixels. Expected: 4 dB over
bicubic interpolation, whose mean PSNR on the test images of Fashion-MNIST is 19.31 dB (2x) and 16.03 dB (4x).

    python scripts/reproduce.py super_resolution
    python scripts/apply.py --workdir=runs/reproduce/super_resolution_2x --task=reconstruct \
        --input=small/ --output=large/
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, data="fashion_mnist", parent=ae, factor=2)
    config.corruption = dict(name="downsample", factor=arguments.factor)
    config.model.update(hidden=(1024, 512), decoder_hidden=(1024,), latent_dim=0, likelihood="gaussian", scale=0.1)
    # The enlarged inputs are added to the decoder's outputs, so that the network has to learn only the details.
    config.model.residual = True
    config.train.update(steps=None, epochs=20)
    config.data.validation = 0
    config.eval.update(metrics=("psnr", "ssim", "baselines"), criterion="psnr_db")
    config.expected.psnr_db = dict(metric="baseline_psnr_db", plus=4.0, tolerance=0.0, source="bicubic + 4 dB")
    return common.finish(config, arguments, expected_on=("fashion_mnist",))


def rows():
    return {f"super_resolution_{factor}x": f"fashion_mnist,factor={factor}" for factor in (2, 4)}
