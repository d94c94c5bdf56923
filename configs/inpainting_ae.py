"""In-painting autoencoder: a black box of 0.4 of each side hides a random part of the image.

Pathak et al. 2016, "Context encoders: feature learning by inpainting", arXiv:1604.07379.

    python scripts/reproduce.py inpainting_ae
    python scripts/plot.py --workdir=runs/reproduce/inpainting_ae --figures=restoration
"""

from configs import common, conv_vae, denoising_ae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=denoising_ae)
    config.corruption = dict(name="box", level=0.4)
    # One latent for the whole image: pixels in the box can only be inferred from pixels far away.
    config.model = {**conv_vae.get_config(arguments.data).model, "name": "ae", "latent_dim": 64}
    for key in ("prior", "posterior"):
        del config.model[key]
    if arguments.data != "digits":
        config.train.epochs = 30
    config.expected = dict(psnr_db=dict(metric="baseline_psnr_db", source="the images with holes"))
    config.regression = dict(psnr_db=dict(value=21.03))
    return common.finish(config, arguments)


def rows():
    return {"inpainting_ae": "mnist"}
