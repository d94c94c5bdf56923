"""Flow prior for the latents of a trained run: a masked autoregressive flow.

Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", arXiv:1705.07057. The flow is fitted to
the latents by maximum likelihood. The trained run is then sampled through it. `:digits` fits a flow to the digits
themselves.

    python scripts/train.py --config=configs/latent_flow.py --config.data.path=runs/ae --workdir=runs/ae_flow
    python scripts/apply.py --workdir=runs/ae --task=sample --sampler=runs/ae_flow --output=new/
"""

from configs import common

DATASETS = {"digits": 200, "codes": 200}
STEPS = 2000


def get_config(arg=""):
    config, arguments = common.start(arg, data="codes", datasets=DATASETS)
    if arguments.data == "codes":
        config.data.update(common.CODES, standardise=True)
    config.model = dict(name="density", prior="flow", flows=5)
    config.objective.name = "reconstruction"
    config.weights = dict(reconstruction=1.0)
    config.optimizer.learning_rate = f"cosine:3e-3:0:{STEPS}"
    config.train.update(steps=STEPS, batch_size=256)
    config.eval.metrics = ("elbo",)
    return common.finish(config, arguments)
