"""Time 20 training steps of the two-bar MusicVAE: JAX and PyTorch's LSTM, eager, fused Adam.

The sizes are those published: a bidirectional LSTM of 512, a decoder LSTM of 2x256 and a 256-D latent. The batch size
is 64, and the decoder is trained with teacher forcing, without scheduled sampling.

python benchmarks/lstm.py [--torch_python=path/to/python] [--runs=5]
"""

import os
import time

import numpy as np
import pairs

STEPS, BATCH, LENGTH, EVENTS = 20, 64, 32, 90


def melodies():
    """Return events, uint8 [N, T]; three events in five are holds, as in the corpus."""
    generator = np.random.default_rng(0)
    shape = (STEPS * BATCH, LENGTH)
    return np.where(generator.random(shape) < 0.6, 0, generator.integers(0, EVENTS, shape)).astype(np.uint8)


def ours(data):
    """Return (seconds, mean loss) of the steps in this package; `data` is not read."""
    import jax

    from ae_jax.core.types import DataSpec
    from ae_jax.data.batching import Batches
    from ae_jax.experiments import configuration, experiment
    from ae_jax.training import loop

    config = configuration.load("configs/music_vae_2bar.py:scales_2bar")
    with config.unlocked():
        config.train.batch_size = BATCH
        config.data.transpose = 0
        del config.model.sampling
    built = experiment.build(config, DataSpec((LENGTH,), "events", levels=EVENTS))
    batches = Batches({"x": melodies()}, built.spec, BATCH).on_device()
    run = loop.compiled_run(built.step, batches)
    state, _ = jax.block_until_ready(run(built.init(jax.random.key(0)), batches.arrays, built.hparams, STEPS))
    start = time.perf_counter()
    _, totals = jax.block_until_ready(run(state, batches.arrays, built.hparams, 2 * STEPS))
    return time.perf_counter() - start, float(totals["sums"]["reconstruction"]) / STEPS


def torch(data):
    """Return (seconds, mean loss) of the same steps in PyTorch; `data` is not read."""
    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    encoder = nn.LSTM(EVENTS, 512, bidirectional=True, batch_first=True)
    mean_of, log_sigma_of = nn.Linear(1024, 256), nn.Linear(1024, 256)
    states_of, decoder, logits_of = (
        nn.Linear(256, 1024),
        nn.LSTM(EVENTS + 256, 256, 2, batch_first=True),
        nn.Linear(256, EVENTS),
    )
    modules = nn.ModuleList([encoder, mean_of, log_sigma_of, states_of, decoder, logits_of])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3, fused=True)
    grids = torch.from_numpy(melodies()).long()
    for _ in range(2):
        start, total = time.perf_counter(), 0.0
        for x in grids.split(BATCH):
            one_hot = nn.functional.one_hot(x, EVENTS).float()
            _, (last, _) = encoder(one_hot)
            h = torch.cat([last[0], last[1]], dim=-1)
            mean, log_sigma = mean_of(h), log_sigma_of(h)
            z = mean + log_sigma.exp() * torch.randn_like(mean)
            begin = states_of(z).tanh().view(BATCH, 2, 2, 256).permute(2, 1, 0, 3).contiguous()
            before = nn.functional.pad(one_hot[:, :-1], (0, 0, 1, 0))
            read = torch.cat([before, z[:, None].expand(-1, LENGTH, -1)], dim=-1)
            hs, _ = decoder(read, (begin[0], begin[1]))
            reconstruction = (
                nn.functional.cross_entropy(logits_of(hs).flatten(0, 1), x.flatten(), reduction="sum") / BATCH
            )
            kl = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(-1).clamp(min=33.3).mean()
            optimizer.zero_grad(set_to_none=True)
            (reconstruction + 0.1 * kl).backward()
            nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
            optimizer.step()
            total += reconstruction.detach()
        seconds = time.perf_counter() - start
    return seconds, float(total) / STEPS


if __name__ == "__main__":
    pairs.main(__file__, __doc__, {"ours": ours, "torch": torch})
