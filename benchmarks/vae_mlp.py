"""Time one epoch of the MLP VAE 784-500-20 on MNIST, batch 128: JAX, PyTorch eager, pythae.

python benchmarks/vae_mlp.py --data=path/to/mnist [--torch_python=path/to/python] [--runs=5]
"""

import tempfile
import time

import pairs


def ours(data):
    """Return (seconds, mean loss) of an epoch in this package."""
    return pairs.ours_epoch("configs/vae_mlp.py:mnist", data)


def torch_model():
    """Return the network in PyTorch, x [N, 784] -> (logits, mean, log_sigma)."""
    import torch
    from torch import nn

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(784, 500), nn.ReLU())
            self.mean, self.log_sigma = nn.Linear(500, 20), nn.Linear(500, 20)
            self.decoder = nn.Sequential(nn.Linear(20, 500), nn.ReLU(), nn.Linear(500, 784))

        def forward(self, x):
            h = self.encoder(x)
            mean, log_sigma = self.mean(h), self.log_sigma(h)
            return self.decoder(mean + log_sigma.exp() * torch.randn_like(mean)), mean, log_sigma

    return Vae()


def torch(data):
    """Return (seconds, mean loss) of an epoch in PyTorch."""
    return pairs.torch_epoch(torch_model, data, flat=True)


def pythae_model():
    """Return the same network as a VAE of pythae."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = torch_model()

        def forward(self, x):
            h = self.net.encoder(x.flatten(1))
            return ModelOutput(embedding=self.net.mean(h), log_covariance=2 * self.net.log_sigma(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = torch_model().decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z).sigmoid().reshape(-1, 1, 28, 28))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(), decoder=Decoder())


def pythae(data):
    """Return (seconds, mean loss) of the second of two epochs of pythae's own trainer."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Clock(TrainingCallback):
        times, losses = [], []

        def on_epoch_begin(self, training_config, **kwargs):
            self.times.append(time.perf_counter())

        def on_log(self, training_config, logs, **kwargs):
            self.losses.append(logs.get("train_epoch_loss", 0.0))
            self.times.append(time.perf_counter())

    images = torch.from_numpy(pairs.mnist_images(data).copy()).float().div(255)[:, None]
    settings = dict(
        num_epochs=2, learning_rate=1e-3, per_device_train_batch_size=128, optimizer_cls="Adam", no_cuda=True
    )
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(output_dir=folder, **settings)
        BaseTrainer(
            pythae_model(), BaseDataset(images, torch.zeros(len(images))), training_config=training, callbacks=[Clock()]
        ).train()
    return Clock.times[-1] - Clock.times[-2], float(Clock.losses[-1])


if __name__ == "__main__":
    pairs.main(__file__, __doc__, {"ours": ours, "torch": torch, "pythae": pythae})
