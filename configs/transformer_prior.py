"""A causal transformer as a prior for the discrete latents of a trained run.

The trained run is then sampled through this prior.

`:conditional` gives it the class of an example. `:digits`, `:mnist` and `:mnist_static` model binary pixels.

    python scripts/train.py --config=configs/transformer_prior.py --config.data.path=runs/vq --workdir=runs/vq_prior
    python scripts/evaluate.py --workdir=runs/vq --metrics=bits --bits_sampler=runs/vq_prior
    python scripts/apply.py --workdir=runs/vq --task=sample --sampler=runs/vq_prior --output=new/ --temperature=0.9
"""

from configs import common

DATASETS = {"digits": 200, "codes": 200, "mnist": 5000, "mnist_static": 10000}
STEPS = 5000


def get_config(arg="", name="transformer", layers=4):
    config, arguments = common.start(arg, data="codes", datasets=DATASETS, conditional=False)
    if arguments.data == "codes":
        config.data.update(common.CODES)
    elif arguments.data != "mnist_static":
        config.data.binarize = "fixed"
    config.model = dict(name=name, layers=layers, conditional=arguments.conditional)
    config.objective.name = "reconstruction"
    config.weights = dict(reconstruction=1.0)
    config.optimizer.update(learning_rate=f"cosine:1e-3:0:{STEPS}", clip=1.0)
    config.train.update(steps=STEPS, batch_size=128)
    config.eval.metrics = ("elbo", "bits_per_dimension")
    if arguments.smoke:
        config.model.update(width=8, layers=1)
    return common.finish(config, arguments)
