"""Time 200 steps of the IWAE 784-200-200-50 on MNIST with 50 samples: JAX and PyTorch eager.

The batch size is 20.

python benchmarks/iwae_k50.py --data=path/to/mnist [--torch_python=path/to/python] [--runs=5]
"""

import math
import time

import pairs

STEPS = 200


def ours(data, k=50):
    """Return (seconds, mean loss) of the steps in this package, with `k` samples per image."""
    return pairs.ours_epoch(f"configs/iwae.py:mnist,k={k}", data, STEPS)


def torch(data, k=50):
    """Return (seconds, mean loss) of the same steps in PyTorch, with `k` samples per image."""
    import os

    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    images = torch.from_numpy(pairs.mnist_images(data).copy()).float().div(255).flatten(1)

    def hidden(size):
        return [nn.Linear(size, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh()]

    encoder, mean_of, log_sigma_of = nn.Sequential(*hidden(784)), nn.Linear(200, 50), nn.Linear(200, 50)
    decoder = nn.Sequential(*hidden(50), nn.Linear(200, 784))
    modules = nn.ModuleList([encoder, mean_of, log_sigma_of, decoder])
    # The paper's initial values: Glorot's weights, and zero biases except for those of the mean image.
    for layer in modules.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    decoder[-1].bias.data = images.mean(0).clamp(1e-3, 1 - 1e-3).logit()
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3, eps=1e-4, fused=True)
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    order = torch.randperm(len(images))
    for _ in range(2):
        start, total = time.perf_counter(), 0.0
        for index in order[: 20 * STEPS].split(20):
            x = torch.bernoulli(images[index])
            h = encoder(x)
            mean, log_sigma = mean_of(h), log_sigma_of(h)
            noise = torch.randn(k, *mean.shape)
            z = mean + log_sigma.exp() * noise
            # The constants of log p(z) and log q(z|x) cancel.
            log_w = (0.5 * (noise.square() - z.square()) + log_sigma).sum(-1)
            log_w = log_w - cross_entropy(decoder(z), x.expand(k, *x.shape), reduction="none").sum(-1)
            loss = (math.log(k) - log_w.logsumexp(0)).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        seconds = time.perf_counter() - start
    return seconds, float(total) / STEPS


if __name__ == "__main__":
    pairs.main(__file__, __doc__, {"ours": ours, "torch": torch})
