"""Networks from arrays to arrays, one kind per file; those that a config can name define `Encoder` or `Decoder`."""

from collections.abc import Sequence

import flax.linen as nn


class ImageEncoder(nn.Module):
    """An encoder that can keep its last image: with `spatial` it returns [N, H, W, C] in place of features [N, F]."""

    def image_size(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return the height and width of the last image for examples of this shape (H, W, C)."""
        raise NotImplementedError


def downsampled(size: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Return the height and width that remain of an image after steps of these strides with SAME padding."""
    height, width = size[:2]
    for stride in strides:
        height, width = -(-height // stride), -(-width // stride)
    return height, width
