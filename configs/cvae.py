"""Conditional VAE: the class is given to encoder and decoder, so that the code says what the class does not.

Sohn et al. 2015, "Learning structured output representation using deep conditional generative models", NeurIPS 28.

    python scripts/train.py --config=configs/cvae.py:mnist --workdir=runs/cvae
    python scripts/plot.py --workdir=runs/cvae --figures=class_grid,reconstructions
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.update(name="conditional", conditional_prior=False)
    if arguments.data != "digits":
        config.train.epochs = 20
    return common.finish(config, arguments)
