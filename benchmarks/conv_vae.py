"""Time one epoch of the convolutional VAE on MNIST with batch size 128: JAX and PyTorch.

The network has 4x4 kernels of stride 2, 32 and 64 channels, a dense layer of 256 and a 16-D latent.

python benchmarks/conv_vae.py --data=path/to/mnist [--torch_python=path/to/python] [--runs=5]
"""

import pairs


def ours(data):
    """Return (seconds, mean loss) of an epoch in this package."""
    return pairs.ours_epoch("configs/conv_vae.py:mnist", data)


def torch_model():
    """Return the network in PyTorch, x [N, 1, 28, 28] -> (logits, mean, log_sigma)."""
    import torch
    from torch import nn

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            step = dict(kernel_size=4, stride=2, padding=1)
            convolutions = [nn.Conv2d(1, 32, **step), nn.ReLU(), nn.Conv2d(32, 64, **step), nn.ReLU(), nn.Flatten()]
            self.encoder = nn.Sequential(*convolutions, nn.Linear(7 * 7 * 64, 256), nn.ReLU())
            self.mean, self.log_sigma = nn.Linear(256, 16), nn.Linear(256, 16)
            dense = [nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 7 * 7 * 64), nn.ReLU(), nn.Unflatten(1, (64, 7, 7))]
            up = [nn.ConvTranspose2d(64, 32, **step), nn.ReLU(), nn.ConvTranspose2d(32, 1, **step)]
            self.decoder = nn.Sequential(*dense, *up)

        def forward(self, x):
            h = self.encoder(x)
            mean, log_sigma = self.mean(h), self.log_sigma(h)
            return (self.decoder(mean + log_sigma.exp() * torch.randn_like(mean)), mean, log_sigma)

    return Vae()


def torch(data):
    """Return (seconds, mean loss) of an epoch in PyTorch."""
    return pairs.torch_epoch(torch_model, data, flat=False)


def torch_channels_last(data):
    """Return those of an epoch in PyTorch with the channels-last memory format.

    PyTorch's performance guide recommends this format for convolutions.
    """
    return pairs.torch_epoch(torch_model, data, flat=False, channels_last=True)


if __name__ == "__main__":
    pairs.main(__file__, __doc__, {"ours": ours, "torch": torch, "torch_channels_last": torch_channels_last})
