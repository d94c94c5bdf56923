"""Coloured images made up on the spot: discs before a background that fades.

For trials where no data can be had.
"""

import numpy as np

from ae_jax.core.types import DataSpec

TRAIN, TEST = 448, 64


def load(size: int = 64) -> tuple[DataSpec, dict]:
    """Draw images of three discs of random places, sizes and colours; the same ones every time.

    Args:
      size: the sides of the images, in pixels.

    Returns:
      The DataSpec, and {"train", "test"}: {"x": [N, size, size, 3] uint8}.
    """
    draw = np.random.RandomState(0)  # the same in every version of NumPy
    x = np.stack([_image(draw, size) for _ in range(TRAIN + TEST)])
    return DataSpec(shape=(size, size, 3)), {"train": {"x": x[:TRAIN]}, "test": {"x": x[TRAIN:]}}


def _image(draw, size):
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    left, right = draw.uniform(0, 1, (2, 3))
    image = left + (right - left) * x[..., None]
    for _ in range(3):
        place, radius, colour = draw.uniform(0.1, 0.9, 2), draw.uniform(0.1, 0.3), draw.uniform(0, 1, 3)
        # The edge is one pixel wide, so that discs of all sizes move smoothly.
        cover = np.clip(0.5 + size * (radius - np.hypot(y - place[0], x - place[1])), 0, 1)[..., None]
        image += cover * (colour - image)
    return np.round(255 * image).astype(np.uint8)
