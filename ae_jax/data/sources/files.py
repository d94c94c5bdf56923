"""The user's own arrays (.npy, .npz) or folder of images.

Where the user names no test examples, a share is drawn from the whole by a fixed permutation: files are often sorted by
class, and their end would be a single one. Both sides keep the order of the file. Neighbours that overlap, such as
windows of one recording, need a split of the user's own: `x_test` in an .npz.
"""

import contextlib
from pathlib import Path

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import cached

IMAGES = (".png", ".jpg", ".jpeg")
GREY, COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")  # Pillow's modes of 8 bits


def load(path: str = "", split: str = "", cache: str = "", whole: bool = False) -> tuple[DataSpec, dict]:
    """Reads `path`, and holds out the share `split` of it (default 0.1) as the test split.

    whole   whether nothing is held out: all examples, in the order of the file, are the split "all"

    .npy    an array of uint8 (pixels) or floats (reals): [N, H, W, C], [N, H, W] (grey) or [N, T] (series, vectors)
    .npz    such an array `x`; optionally `label`, integers [N] (classes) or floats [N, L] (vectors, which a conditional
            model reads); and `x_test`, `label_test`, without `split`
    folder  PNG or JPEG images of one size, grey if all of them are; where all lie in subfolders, these are the classes

    Of several processes one reads, and all map its arrays from the folder `cache` (default ~/.cache/ae_jax, or below
    $XDG_CACHE_HOME). Raises UserError, naming the file, for whatever else it meets.
    """
    file = Path(path).expanduser()
    if not path or not file.exists():
        raise UserError(f"data.path must name a .npy, a .npz or a folder of images; {path!r} does not exist")

    def home():
        stamps = cached.stamps(find_images(file) if file.is_dir() else [file])
        return cached.folder(cache, "files", [file.name, "all" if whole else split, stamps])

    return cached.shared(home, lambda: _read(file, split, whole))


def _read(file: Path, split: str, whole: bool) -> tuple[DataSpec, dict]:
    arrays, names = _read_folder(file) if file.is_dir() else (_read_arrays(file), ())
    if "x_test" in arrays:
        if split and not whole:
            raise UserError(f"{file} has an x_test of its own; data.split={split!r} must be left out")
        splits = {"train": _side(file, arrays, ""), "test": _side(file, arrays, "_test")}
    else:
        side = _side(file, arrays, "")
        splits = {"all": side} if whole else _hold_out(side, split or "0.1")
    sides = list(splits.values())
    of_one = lambda side: {name: (values.shape[1:], values.dtype) for name, values in side.items()}
    if of_one(sides[0]) != of_one(sides[-1]):
        raise UserError(f"{file}: x and x_test, or their labels, differ in shape or dtype, or only one has labels")
    shape, labels = sides[0]["x"].shape[1:], _labels(sides) | ({"names": names} if names else {})
    if sides[0]["x"].dtype != np.uint8:
        return DataSpec(shape, "reals", **labels), splits
    # Black and white is often stored as 0 and 1.
    levels = 256 if max(side["x"].max() for side in sides) > 1 else 2
    return DataSpec(shape, "pixels", levels=levels, **labels), splits


def _labels(sides: list[dict[str, np.ndarray]]) -> dict[str, int]:
    """What a DataSpec says of the labels: how many classes there are, or how long their vectors."""
    found = [side["label"] for side in sides if "label" in side]
    if not found:
        return {}
    if found[0].ndim == 2:
        return {"label_dim": found[0].shape[1]}
    return {"classes": max(int(label.max()) + 1 for label in found)}


def find_images(folder: Path) -> list[Path]:
    """The PNG and JPEG files directly in `folder`, sorted by name; where there are none, those in its subfolders.

    Nothing hidden: notebooks leave .ipynb_checkpoints, which would be a class.
    """
    shown = lambda file: not any(part.startswith(".") for part in file.relative_to(folder).parts)
    for pattern in ("*", "*/*"):
        files = [f for f in folder.glob(pattern) if f.suffix.lower() in IMAGES and shown(f) and f.is_file()]
        if files:
            return sorted(files)
    raise UserError(f"{folder} holds no image: expected files {', '.join(IMAGES)} in it or in one subfolder a class")


def read_images(files: list[Path]) -> np.ndarray:
    """[N, H, W, 1] uint8 where all images are grey, else [N, H, W, 3]. Raises UserError for an odd size, a bad file."""
    headers = []
    for file in files:
        with _opened(file) as image:
            headers.append((image.size, image.mode))
    size, _ = headers[0]
    for file, (other, mode) in zip(files, headers):
        if other != size:
            sizes = f"{files[0].name} is {size[0]}x{size[1]}, {file.name} is {other[0]}x{other[1]}"
            raise UserError(f"{file.parent} holds images of different sizes: {sizes}; resize them to one")
        if mode not in GREY + COLOUR:
            raise UserError(f"{file} has mode {mode}; expected 8 bits a channel")
    mode = "L" if all(mode in GREY for _, mode in headers) else "RGB"
    x = np.empty((len(files), size[1], size[0], len(mode)), np.uint8)
    for row, file in zip(x, files):
        with _opened(file) as image:
            row[:] = np.asarray(image.convert(mode)).reshape(row.shape)
    return x


@contextlib.contextmanager
def _opened(file: Path):
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            yield ImageOps.exif_transpose(image)  # cameras say beside the pixels which side is up
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{file} cannot be read as an image: {error}") from None


def _read_folder(folder: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """({"x", "label"?}, names of the classes): those of the subfolders, where the images lie in such."""
    files = find_images(folder)
    if files[0].parent == folder:
        return {"x": read_images(files)}, ()
    names, label = np.unique([file.parent.name for file in files], return_inverse=True)
    return {"x": read_images(files), "label": label}, tuple(names.tolist())


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    if file.suffix not in (".npy", ".npz"):
        raise UserError(f"data.path must name a .npy, a .npz or a folder of images; got {file}")
    try:
        stored = np.load(file, mmap_mode="r")
        arrays = {"x": stored} if isinstance(stored, np.ndarray) else dict(stored)
    except errors.DAMAGED as error:
        raise UserError(f"{file} cannot be read as {file.suffix}: {error}") from None
    if "x" not in arrays or set(arrays) - {"x", "label", "x_test", "label_test"}:
        raise UserError(f"{file} holds {', '.join(arrays)}; expected x, and optionally label, x_test, label_test")
    return arrays


def _side(file: Path, arrays: dict[str, np.ndarray], suffix: str) -> dict[str, np.ndarray]:
    """{"x", "label"?} from the arrays `x<suffix>` and `label<suffix>`, checked: classes int32, vectors float32."""
    name, x, label = f"x{suffix}", arrays[f"x{suffix}"], arrays.get(f"label{suffix}")
    if not 2 <= x.ndim <= 4 or x.size == 0:
        raise UserError(f"{file}: {name} has shape {x.shape}; expected [N, H, W, C], [N, H, W] or [N, T]")
    if np.issubdtype(x.dtype, np.floating):
        with np.errstate(over="ignore"):
            x = x.astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
        if bad.size:
            raise UserError(
                f"{file}: {bad.size} of {len(x)} examples in {name} hold NaN or infinity, first number {bad[0]}"
            )
    elif x.dtype != np.uint8:
        raise UserError(f"{file}: {name} is {x.dtype}; expected uint8 (pixels) or floats (reals)")
    side = {"x": x[..., None] if x.ndim == 3 else x}
    if label is None:
        return side
    is_classes = label.shape == x.shape[:1] and np.issubdtype(label.dtype, np.integer) and label.min() >= 0
    is_vectors = label.ndim == 2 and len(label) == len(x) and label.size and np.issubdtype(label.dtype, np.floating)
    if not is_classes and not (is_vectors and np.isfinite(label).all()):
        found = f"{label.dtype} of shape {label.shape}"
        raise UserError(
            f"{file}: label{suffix} is {found}; expected {len(x)} integers, 0 for the first class, or {len(x)} vectors "
            "of finite floats"
        )
    return side | {"label": label.astype(np.int32 if is_classes else np.float32)}


def _hold_out(side: dict[str, np.ndarray], share: str) -> dict[str, dict[str, np.ndarray]]:
    count = len(side["x"])
    held = 0
    with contextlib.suppress(ValueError, OverflowError):
        held = max(round(float(share) * count), int(float(share) > 0))
    if not 0 < held < count:
        raise UserError(f"data.split={share!r} of {count} examples leaves one side empty; expected a share such as 0.1")
    test = np.zeros(count, bool)
    test[np.random.RandomState(0).permutation(count)[:held]] = True  # RandomState: the same in every version of NumPy
    return {"train": {k: v[~test] for k, v in side.items()}, "test": {k: v[test] for k, v in side.items()}}
