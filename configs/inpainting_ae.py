"""In-painting: the network of `conv_ae` on images in which a box of 0.4 of each side is blackened at a random place.

Pathak et al. 2016, "Context encoders: feature learning by inpainting", arXiv:1604.07379.

    python scripts/train.py --config=configs/inpainting_ae.py:mnist --workdir=runs/inpainting
    python scripts/plot.py --workdir=runs/inpainting --figures=restoration
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
        config.train.epochs = 20
    config.expected = {}
    return common.finish(config, arguments)
