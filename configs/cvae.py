r"""Conditional VAE: encoder and decoder read the class, so the latent encodes the rest.

Sohn et al. 2015, "Learning structured output representation using deep conditional generative models", NeurIPS 28.

The user's own data may have vectors in place of classes: an .npz whose `label` [N, L] is an array of floats.

    python scripts/reproduce.py cvae
    python scripts/plot.py --workdir=runs/reproduce/cvae --figures=class_grid,reconstructions
    python scripts/train.py --config=configs/cvae.py --workdir=runs/vectors --config.data.source=files \
        --config.data.path=labelled.npz --config.data.validation=0
    python scripts/apply.py --workdir=runs/vectors --task=sample --input=labels.npz --output=new/
"""

from configs import common, vae


def get_config(arg=""):
    config, arguments = common.start(arg, parent=vae)
    config.model.update(name="conditional", conditional_prior=False)
    if arguments.data != "digits":
        config.train.epochs = 20
    config.expected = dict(elbo=dict(row="vae", judged=False, source="vae, which is not told the class, beside"))
    config.regression = dict(elbo=dict(value=-132.46))
    return common.finish(config, arguments)


def rows():
    return {"cvae": "mnist"}
