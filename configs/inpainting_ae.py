"""In-painting: the network of `conv_ae` on images in which a box of 0.4 of each side is blackened at a random place.

Pathak et al. 2016, "Context encoders: feature learning by inpainting", arXiv:1604.07379.

    python scripts/reproduce.py inpainting_ae
    python scripts/plot.py --workdir=runs/reproduce/inpainting_ae --figures=restoration
"""

from configs import common, conv_vae, denoising_ae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=denoising_ae)
    config.corruption = dict(name="box", level=0.4)
    # A code for the whole image: what is missing must be inferred from what is far away.
    config.model = {**conv_vae.get_config(arguments.data).model, "name": "ae", "latent_dim": 64}
    for key in ("prior", "posterior"):
        del config.model[key]
    if arguments.data != "digits":
        config.train.epochs = 30
    config.expected = dict(psnr_db=dict(metric="baseline_psnr_db", plus=4.0, source="the images with holes + 4 dB"))
    return common.finish(config, arguments)


def rows():
    return {"inpainting_ae": "mnist"}
