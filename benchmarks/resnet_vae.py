"""The residual VAE of 64x64 images in PyTorch: the network of configs/celeba64.py."""


def torch_model(channels=(64, 128, 256, 256), blocks=2, groups=32, attention=8, side=64, latent=128):
    """Return the network, x [N, 3, side, side] -> (logits, mean, log_sigma).

    Args:
      channels: channels at each level; every level halves the image.
      blocks: residual blocks per level.
      groups: groups of the group normalisation.
      attention: largest size of an image with attention layers, in pixels.
      side: width and height of an image.
      latent: size of the latent.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.norm = nn.GroupNorm(groups, features)
            self.parts, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)

        def forward(self, x):
            h = self.norm(x).flatten(2).transpose(1, 2)
            h = self.out(functional.scaled_dot_product_attention(*self.parts(h).chunk(3, dim=-1)))
            return x + h.transpose(1, 2).reshape(x.shape)

    class Block(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.layers = nn.Sequential(*layer(features, features), *layer(features, features))

        def forward(self, x):
            return x + self.layers(x)

    def layer(before, features):
        return nn.GroupNorm(groups, before), nn.SiLU(), nn.Conv2d(before, features, 3, padding=1)

    def level(features, size):
        parts = (Block, Attention) if size <= attention else (Block,)
        return [part(features) for _ in range(blocks) for part in parts]

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [side // 2**number for number in range(len(channels))]
            down, up, before = [nn.Conv2d(3, channels[0], 3, padding=1)], [], channels[0]
            for number, (features, size) in enumerate(zip(channels, sizes)):
                down += [nn.Conv2d(before, features, 3, stride=2, padding=1)] * bool(number) + level(features, size)
                before = features
            flat = before * sizes[-1] ** 2
            self.encoder = nn.Sequential(*down, nn.GroupNorm(groups, before), nn.SiLU(), nn.Flatten())
            self.mean, self.log_sigma = nn.Linear(flat, latent), nn.Linear(flat, latent)
            for number, (features, size) in reversed(list(enumerate(zip(channels, sizes)))):
                if number < len(channels) - 1:
                    up += [nn.Upsample(scale_factor=2), nn.Conv2d(before, features, 3, padding=1)]
                up += level(features, size)
                before = features
            smallest = nn.Unflatten(1, (channels[-1], sizes[-1], sizes[-1]))
            self.decoder = nn.Sequential(nn.Linear(latent, flat), smallest, *up, *layer(before, 3))

        def forward(self, x):
            h = self.encoder(x)
            mean, log_sigma = self.mean(h), self.log_sigma(h)
            return self.decoder(mean + log_sigma.exp() * torch.randn_like(mean)), mean, log_sigma

    return Vae()
