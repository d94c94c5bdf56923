"""Factorised prior for the discrete latents of a trained run: one distribution per position.

It is the simplest prior over tokens that can be learned, and the baseline of all others. `:scales_2bar` fits it to
melodies, where it gives the most probable event at each position.

    python scripts/train.py --config=configs/factorised_prior.py --config.data.path=runs/vq --workdir=runs/vq_prior
    python scripts/apply.py --workdir=runs/vq --task=sample --sampler=runs/vq_prior --output=new/
"""

from configs import common

DATASETS = {"scales_2bar": 64, "codes": 200}
STEPS = 2000


def get_config(arg=""):
    config, arguments = common.start(arg, data="codes", datasets=DATASETS)
    if arguments.data == "codes":
        config.data.update(common.CODES)
    config.model = dict(name="factorised")
    config.objective.name = "reconstruction"
    config.weights = dict(reconstruction=1.0)
    config.optimizer.learning_rate = f"cosine:3e-2:0:{STEPS}"
    config.train.update(steps=STEPS, batch_size=256)
    config.eval.metrics = ("elbo",)
    return common.finish(config, arguments)
