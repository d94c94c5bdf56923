"""A PixelCNN prior for the discrete latents of a trained run.

It has gated masked convolutions over the grid of codes.

van den Oord et al. 2016, "Conditional image generation with PixelCNN decoders", arXiv:1606.05328. `:conditional` gives
it the class of an example. `:digits`, `:mnist` and `:mnist_static` model binary pixels.

    python scripts/train.py --config=configs/pixelcnn_prior.py --config.data.path=runs/vq --workdir=runs/vq_prior
    python scripts/evaluate.py --workdir=runs/vq --metrics=bits --bits_sampler=runs/vq_prior
    python scripts/apply.py --workdir=runs/vq --task=sample --sampler=runs/vq_prior --output=new/ --top_k=50
"""

from configs import transformer_prior

DATASETS = transformer_prior.DATASETS


def get_config(arg=""):
    config = transformer_prior.get_config(arg, name="pixelcnn", layers=6)
    if config.data.name == "mnist_static":
        config.data.validation = 0
        source = "van den Oord et al. 2016, arXiv:1601.06759, table 4: PixelCNN"
        config.expected.elbo = dict(value=-81.30, judged=False, source=f"unconfirmed; {source}")
    return config


def rows():
    return {"pixelcnn_mnist_static": "mnist_static"}
