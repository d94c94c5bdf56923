"""Networks, one kind per file; those that a config can name define `Encoder` or `Decoder`."""

from collections.abc import Sequence

import flax.linen as nn


class ImageEncoder(nn.Module):
    """Base class of encoders that, with `spatial`, return their last image [N, h, w, C]."""

    def image_size(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return the height and width of the last image.

        Args:
          shape: the shape (H, W, C) of an example.
        """
        raise NotImplementedError


def downsampled(size: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Return the height and width that remain of an image after steps with SAME padding.

    Args:
      size: the height and width of the image; anything after them is ignored.
      strides: the stride of each step.
    """
    height, width = size[:2]
    for stride in strides:
        height, width = -(-height // stride), -(-width // stride)  # rounded up
    return height, width
