"""Second stage of a two-stage VAE: a VAE of the latents of a trained run.

Dai and Wipf 2019, "Diagnosing and enhancing VAE models", arXiv:1903.05789, section 4. The latents of a VAE may be far
from its prior. They fill their space, however, as images do not, and a second VAE can match them. The first VAE is then
sampled through the second. `d` is the size of the second latent; the paper uses the same size in both stages.

    python scripts/train.py --config=configs/latent_vae.py:d=2 --config.data.path=runs/vae --workdir=runs/second
    python scripts/evaluate.py --workdir=runs/vae --metrics=fid --fid_features=runs/classifier --fid_sampler=runs/second
"""

from configs import common

DATASETS = {"digits": 200, "codes": 200}
STEPS = 3000


def get_config(arg=""):
    config, arguments = common.start(arg, data="codes", datasets=DATASETS, d=2)
    if arguments.data == "codes":
        config.data.update(common.CODES, standardise=True)
    config.model.update(name="vae", latent_dim=arguments.d, hidden=(256, 256), likelihood="gaussian", scale="learned")
    config.optimizer.learning_rate = f"cosine:3e-3:0:{STEPS}"
    config.train.update(steps=STEPS, batch_size=256)
    return common.finish(config, arguments)
