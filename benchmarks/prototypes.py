"""Train independent PyTorch prototypes of three configs, without published numbers.

Their results are the expected values of these configs.

python benchmarks/prototypes.py --data=path/to/mnist [--torch_python=path/to/python]
"""

import json
import os
import pathlib
import subprocess

import pairs


def vae(images, epochs, hidden, latent, beta):
    """Train a VAE; return its test ELBO in nats, with one draw of the latent per image.

    Args:
      images: {"train", "t10k"}: images [N, 784] in [0, 1].
      epochs: passes over the training images.
      hidden: width of the hidden layers.
      latent: size of the latent.
      beta: weight of the KL term.
    """
    import torch
    from torch import nn

    encoder = nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 784))

    def terms(x):
        mean, log_sigma = encoder(x).chunk(2, dim=1)
        logits = decoder(mean + log_sigma.exp() * torch.randn_like(mean))
        kl = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum()
        return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x), kl / len(x)

    def loss(x):
        reconstruction, kl = terms(x)
        return reconstruction + beta * kl

    fit([*encoder.parameters(), *decoder.parameters()], loss, images["train"], epochs)
    with torch.no_grad():
        return {"elbo": -float(sum(terms(images["t10k"])))}


def contractive(images, epochs, latent, penalty):
    """Train a contractive autoencoder with a sigmoid latent; return its test cross-entropy.

    Args:
      images: as for `vae`.
      epochs: passes over the training images.
      latent: size of the latent.
      penalty: weight of the squared Jacobian of the latent.

    Returns:
      {"bce_nats_per_pixel": cross-entropy}.
    """
    import torch
    from torch import nn

    encoder, decoder = nn.Linear(784, latent), nn.Linear(latent, 784)

    def terms(x):
        code = encoder(x).sigmoid()
        nats = nn.functional.binary_cross_entropy_with_logits(decoder(code), x, reduction="sum") / len(x)
        # d code_j / d x_i = code_j (1 - code_j) W_ji
        jacobian = (code * (1 - code)).square() @ encoder.weight.square().sum(dim=1)
        return nats, jacobian.mean()

    def loss(x):
        nats, jacobian = terms(x)
        return nats + penalty * jacobian

    fit([*encoder.parameters(), *decoder.parameters()], loss, images["train"], epochs)
    with torch.no_grad():
        return {"bce_nats_per_pixel": float(terms(images["t10k"])[0]) / 784}


def fit(parameters, loss, images, epochs):
    """Minimise a loss with Adam, learning rate 1e-3 and batch size 128.

    Args:
      parameters: the parameters, a list of tensors.
      loss: the function of a batch of images.
      images: the training images [N, 784].
      epochs: passes over them.
    """
    import torch

    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(128):
            optimizer.zero_grad(set_to_none=True)
            loss(images[index]).backward()
            optimizer.step()


ROWS = {
    "vae": lambda images: vae(images, epochs=50, hidden=512, latent=2, beta=1.0),
    "beta_vae": lambda images: vae(images, epochs=20, hidden=512, latent=10, beta=4.0),
    "contractive_ae": lambda images: contractive(images, epochs=20, latent=32, penalty=0.1),
}


def main():
    """Train one prototype, or each of them in a new process."""
    options = pairs.arguments(__doc__)
    if not options.side:
        for row in ROWS:
            command = [options.torch_python, __file__, f"--side={row}", f"--data={options.data}"]
            subprocess.run(command, check=True)
        return
    import torch

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    images = {}
    for part in ("train", "t10k"):
        levels = torch.from_numpy(pairs.mnist_images(pathlib.Path(options.data), part).copy())
        images[part] = levels.float().div(255).flatten(1)
    print(json.dumps({"prototype": options.side, **ROWS[options.side](images)}))


if __name__ == "__main__":
    main()
