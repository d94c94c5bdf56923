"""Images in every raster format that Pillow reads, of 8 or 16 bits a channel, of any size."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data.formats import Found, Reading, folders, say_once

# The suffixes of files that are taken for images.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm"),
    *(".pgm", ".pbm", ".pnm", ".tga", ".pcx", ".jp2", ".j2k", ".ico", ".sgi", ".rgb", ".bw", ".dds", ".psd"),
)
FITS = ("crop", "pad")
# Pillow's modes, by what they become.
_GREY = ("1", "L", "LA", "La")
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


def read_folder(folder: Path, reading: Reading, with_splits: bool = True) -> Found:
    """Read the images in a folder, its subfolders being splits or classes.

    See `folders.members`.
    """
    members = folders.members(folder, SUFFIXES, with_splits)
    x, kept = read([member.file for member in members], reading, str(folder))
    members = [members[number] for number in kept]
    splits: dict[str, dict[str, Any]] = {}
    for split in dict.fromkeys(member.split for member in members):
        rows = [number for number, member in enumerate(members) if member.split == split]
        is_all = len(rows) == len(members)
        splits[split] = {"x": x if is_all else x[rows]}
        if members[0].label:
            splits[split]["label"] = np.array([members[number].label for number in rows])
    return Found(splits)


def read(files: Sequence[Path], reading: Reading, name: str = "") -> tuple[np.ndarray, list[int]]:
    """Read images into one array.

    Args:
      files: the files.
      reading: of which size, fit, background and skip_unreadable are read.
      name: what the files are called in what is printed; by default the folder of the first.

    Returns:
      (uint8 [N, H, W, 1] where all images are grey, or else [N, H, W, 3]; uint16 or float32 [N, H, W, 1] where all are
      grey and of 16 bits, or of floats; the numbers of the files that were read).

    Raises:
      UserError: a file is damaged and none may be skipped, or the images differ in size or kind.
    """
    _check(reading)
    headers, bad = [], []
    for file in files:
        try:
            with _opened(file) as image:
                headers.append((file, _upright_size(image), image.mode, getattr(image, "is_animated", False)))
        except UserError as error:
            bad.append(error)
    if bad and not (reading.skip_unreadable and headers):
        raise bad[0]
    mode = _common_mode([(file, mode) for file, _, mode, _ in headers])
    width, height = reading.size[::-1] if reading.size else _common_size([(file, size) for file, size, *_ in headers])
    channels, dtype = {"L": (1, np.uint8), "RGB": (3, np.uint8), "I": (1, np.uint16), "F": (1, np.float32)}[mode]
    x = np.empty((len(headers), height, width, channels), dtype)
    kept: list[int] = []
    transparent = 0
    for row, (file, *_) in enumerate(headers):
        try:
            with _opened(file) as image:
                opaque = _opaque(image, reading.background)
                transparent += opaque is not image
                x[len(kept)] = _pixels(opaque, mode, reading).reshape(x.shape[1:])
        except UserError as error:
            if not reading.skip_unreadable:
                raise
            bad.append(error)
            continue
        kept.append(row)
    if not kept:
        raise bad[0]
    _say(name or str(files[0].parent), reading, bad, len(files), transparent, sum(animated for *_, animated in headers))
    numbers = {file: number for number, file in enumerate(files)}
    return x[: len(kept)], [numbers[headers[row][0]] for row in kept]


def _check(reading: Reading) -> None:
    """Raise UserError for a value of a key that images cannot be read by."""
    from PIL import ImageColor

    if reading.fit not in FITS:
        raise errors.unknown("data.fit", reading.fit, FITS)
    try:
        ImageColor.getrgb(reading.background or "white")
    except ValueError:
        raise UserError(f"data.background={reading.background!r} is no colour\nuse white, black or #rrggbb") from None


def _say(name: str, reading: Reading, bad: list, count: int, transparent: int, animated: int) -> None:
    """Print what was left out or changed in a set of images."""
    if bad:
        reason = errors.first_line(bad[0])
        say_once(f"left out {len(bad)} of {count} files in {name} that cannot be read, first: {reason}")
    say_transparent(name, transparent, reading)
    if animated:
        say_once(f"{animated} files in {name} have several frames, of which the first was read")


def say_transparent(name: str, count: int, reading: Reading) -> None:
    """Print on which background `count` transparent images were put, if there were any."""
    if count:
        text = f"{count} images in {name} are transparent and were put on {reading.background}"
        say_once(f"{text}; --config.data.background=black puts them on black")


def read_one(file: Path, reading: Reading) -> tuple[np.ndarray, bool]:
    """Read an image as [H, W, 1] or [H, W, 3], in the type that it has.

    Args:
      file: the file.
      reading: of which size, fit and background are read.

    Returns:
      (the pixels, as `read` returns them; whether the image is transparent).
    """
    _check(reading)
    with _opened(file) as image:
        mode = _kind(file, image.mode)
        opaque = _opaque(image, reading.background)
        values = _pixels(opaque, mode, reading)
        values = values.astype(np.uint16) if mode == "I" else values
        return values.reshape(*values.shape[:2], -1), opaque is not image


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield the image in a file.

    Raise UserError where it cannot be read, also within the `with` statement.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} cannot be read as an image: {error}") from None


def _upright_size(image: Any) -> tuple[int, int]:
    """Return (width, height) of an image once it is turned as it was taken."""
    # Cameras store beside the pixels which side is up: orientations 5 to 8 lie on a side.
    return image.size[::-1] if image.getexif().get(0x0112, 1) >= 5 else image.size


def _common_mode(modes: Sequence[tuple[Path, str]]) -> str:
    """Return the mode that all images are read in: L, RGB, I (16 bits) or F (floats).

    Raise UserError.
    """
    kinds: dict[str, Path] = {}
    for file, mode in modes:
        kinds.setdefault(_kind(file, mode), file)
    if set(kinds) <= {"L", "RGB"}:
        return "RGB" if "RGB" in kinds else "L"
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        words = {"L": "8-bit grey", "RGB": "in colour", "I": "16-bit grey", "F": "of floats"}
        raise UserError(
            f"{first.name} is {words[one]} and {second.name} is {words[other]}\nconvert the images to one kind"
        )
    return next(iter(kinds))


def _kind(file: Path, mode: str) -> str:
    for kind, modes in (("L", _GREY), ("RGB", _COLOUR), ("I", _GREY_16), ("F", ("F",))):
        if mode in modes:
            return kind
    raise UserError(f"{file} has mode {mode}\nexpected grey or colour of 8 bits a channel, or grey of 16 bits")


def _common_size(sizes: Sequence[tuple[Path, tuple[int, int]]]) -> tuple[int, int]:
    """Return the one (width, height) of all images.

    Raise UserError, which names two files of different sizes.
    """
    first, size = sizes[0]
    for file, other in sizes:
        if other != size:
            raise UserError(
                f"{file.parent} holds images of different sizes: {first.name} is {size[0]}x{size[1]}, "
                f"{file.name} is {other[0]}x{other[1]}\nbring them to one: --config.data.size=HEIGHT,WIDTH"
            )
    return size


def _opaque(image: Any, background: str | None) -> Any:
    """Return an image without transparency, on a background.

    An image that is opaque is returned itself.
    """
    from PIL import Image

    if background is None or not (image.mode in _TRANSPARENT or "transparency" in image.info):
        return image
    if image.mode in _GREY_16:
        return image
    layer = image.convert("RGBA")
    if layer.getchannel("A").getextrema()[0] == 255:
        return image
    canvas = Image.new("RGBA", image.size, background)
    canvas.alpha_composite(layer)
    opaque = canvas.convert("L" if image.mode in _GREY else "RGB")
    opaque.info["exif"] = image.info.get("exif", b"")
    return opaque


def _pixels(image: Any, mode: str, reading: Reading) -> np.ndarray:
    """Return the pixels of an image, turned as it was taken, in a mode and a size."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image).convert(mode)
    if reading.size and image.size != reading.size[::-1]:
        image = _fitted(image, reading)
    values = np.asarray(image)
    if mode == "I":
        if reading.size:
            values = values.clip(0, 65535)
        if values.min() < 0 or values.max() > 65535:
            raise UserError(f"the image holds {values.min()} to {values.max()}\nexpected 16 bits: 0 to 65535")
    return values


def _fitted(image: Any, reading: Reading) -> Any:
    """Shrink or enlarge an image to a size, and crop its longer side or pad its shorter one."""
    from PIL import Image, ImageColor, ImageOps

    assert reading.size is not None, "asked where there is one"
    size, method = reading.size[::-1], Image.Resampling.BICUBIC
    if reading.fit == "crop":
        return ImageOps.fit(image, size, method)
    background = reading.background or "white"
    if image.mode in ("L", "RGB"):
        return ImageOps.pad(image, size, method, background)
    grey: Any = ImageColor.getcolor(background, "L")
    return ImageOps.pad(image, size, method, grey * 257 if image.mode == "I" else grey / 255)
