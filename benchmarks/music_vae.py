"""The two-bar MusicVAE in PyTorch: the network of configs/music_vae_2bar.py, teacher forced."""


def torch_model(levels=90, encoder=512, decoder=(256, 256), latent=256):
    """Return the network, events x [N, T] -> (logits [N, T, levels], mean, log_sigma).

    Args:
      levels: number of different events.
      encoder: size of the encoder's LSTM in each direction.
      decoder: sizes of the decoder's LSTM layers.
      latent: size of the latent.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.LSTM(levels, encoder, bidirectional=True, batch_first=True)
            self.mean, self.log_sigma = nn.Linear(2 * encoder, latent), nn.Linear(2 * encoder, latent)
            self.states = nn.Linear(latent, 2 * sum(decoder))
            self.decoder = nn.LSTM(levels + latent, decoder[0], num_layers=len(decoder), batch_first=True)
            self.logits = nn.Linear(decoder[-1], levels)

        def forward(self, x):
            one_hot = functional.one_hot(x.long(), levels).float()
            _, (last, _) = self.encoder(one_hot)
            h = torch.cat([last[0], last[1]], dim=1)
            mean, log_sigma = self.mean(h), self.log_sigma(h)
            z = mean + log_sigma.exp() * torch.randn_like(mean)
            states = self.states(z).tanh().reshape(len(x), 2, len(decoder), -1).permute(1, 2, 0, 3).contiguous()
            before = functional.pad(one_hot[:, :-1], (0, 0, 1, 0))
            read = torch.cat([before, z[:, None].expand(-1, x.shape[1], -1)], dim=2)
            outputs, _ = self.decoder(read, (states[0], states[1]))
            return self.logits(outputs), mean, log_sigma

    return Vae()
