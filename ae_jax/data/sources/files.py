"""The user's own arrays (.npy, .npz) or folder of images.

Where the user names no test examples, a share is drawn from the whole by a fixed permutation: files are often sorted by
class, and their end would be a single one. Both sides keep the order of the file. Neighbours that overlap, such as
windows of one recording, need a split of the user's own: `x_test` in an .npz.

An .npy stays memory-mapped: it is read once to check it, and from then on the examples of a batch are read when the
batch is made.
"""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import cached, mapped

IMAGES = (".png", ".jpg", ".jpeg")
GREY, COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")  # Pillow's modes of 8 bits


def load(path: str = "", split: str = "", cache: str = "", whole: bool = False) -> tuple[DataSpec, dict]:
    """Read the user's own examples, and hold out a share of them as the test split.

    Of several processes one reads a folder or an .npz, and all map its arrays from the cache.

    Args:
      path: one of
        a .npy, an array of uint8 (pixels) or floats (reals): [N, H, W, C], [N, H, W] (grey) or [N, T] (series,
        vectors);
        a .npz with such an array `x`; optionally `label`, integers [N] (classes) or floats [N, L] (vectors, which a
        conditional model reads); optionally `x_test` and `label_test`, without `split`;
        a folder of PNG or JPEG images of one size, grey if all of them are. Where all lie in subfolders, these are the
        classes.
      split: the share that is held out; 0.1 by default.
      cache: the folder of the cache; ~/.cache/ae_jax by default, or ae_jax in $XDG_CACHE_HOME.
      whole: whether to return all examples, in the order of the file, as one split "all".

    Returns:
      The DataSpec, and {"train", "test"} or {"all"}: {"x": [N, *shape], "label"?: [N] or [N, L]}.

    Raises:
      UserError: there is no such file, it is damaged, or it holds something else; the message names it.
    """
    file = Path(path).expanduser()
    if not path or not file.exists():
        raise UserError(f"data.path must name a .npy, a .npz or a folder of images; {path!r} does not exist")
    if file.suffix == ".npy" and file.is_file():
        return _read(file, split, cache, whole)

    def home():
        stamps = cached.stamps(find_images(file) if file.is_dir() else [file])
        return cached.folder(cache, "files", [file.name, "all" if whole else split, stamps])

    return cached.shared(home, lambda: _read(file, split, cache, whole))


def _read(file: Path, split: str, cache: str, whole: bool) -> tuple[DataSpec, dict]:
    """Read a file or folder, check it and split it."""
    arrays, names = _read_folder(file) if file.is_dir() else (_read_arrays(file), ())
    train, survey = _side(file, arrays, "", cache)
    if "x_test" in arrays:
        if split and not whole:
            raise UserError(f"{file} has an x_test of its own; data.split={split!r} must be left out")
        test, of_test = _side(file, arrays, "_test", cache)
        _check_alike(file, train, test)
        splits, greatest = {"train": train, "test": test}, max(survey.greatest, of_test.greatest)
    else:
        splits, greatest = {"all": train} if whole else _hold_out(train, split or "0.1"), survey.greatest
    x = train["x"]
    spec = DataSpec(x.shape[1:], "reals", **_labels(list(splits.values())))
    if names:
        spec = dataclasses.replace(spec, names=names)
    if x.dtype == np.uint8:
        # Black and white is often stored as 0 and 1.
        spec = dataclasses.replace(spec, kind="pixels", levels=256 if greatest > 1 else 2)
    return spec, splits


def _check_alike(file: Path, train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> None:
    """Raise UserError where examples or labels of two splits differ in shape or type."""
    kinds = [{name: (values.shape[1:], values.dtype) for name, values in side.items()} for side in (train, test)]
    if kinds[0] != kinds[1]:
        raise UserError(f"{file}: x and x_test, or their labels, differ in shape or dtype, or only one has labels")


def _labels(sides: list[dict[str, np.ndarray]]) -> dict[str, int]:
    """Return the fields of a DataSpec that describe the labels: how many classes there are, or how long vectors are."""
    found = [side["label"] for side in sides if "label" in side]
    if not found:
        return {}
    if found[0].ndim == 2:
        return {"label_dim": found[0].shape[1]}
    return {"classes": max(int(label.max()) + 1 for label in found)}


def find_images(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files of a folder, sorted by name; where there are none, those of its subfolders.

    Raises UserError where those have none either.
    """

    def is_shown(file):
        # Notebooks leave a folder .ipynb_checkpoints, which would be a class.
        return not any(part.startswith(".") for part in file.relative_to(folder).parts)

    for pattern in ("*", "*/*"):
        files = [f for f in folder.glob(pattern) if f.suffix.lower() in IMAGES and is_shown(f) and f.is_file()]
        if files:
            return sorted(files)
    raise UserError(f"{folder} holds no image: expected files {', '.join(IMAGES)} in it or in one subfolder a class")


def read_images(files: list[Path]) -> np.ndarray:
    """Return images as uint8: [N, H, W, 1] where all of them are grey, else [N, H, W, 3].

    Raises:
      UserError: a file is damaged, of another size than the others, or of more than 8 bits a channel.
    """
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
    """Yield the image in a file, turned as it was taken. Raise UserError where it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            # Cameras store beside the pixels which side is up.
            yield ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{file} cannot be read as an image: {error}") from None


def _read_folder(folder: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return ({"x", "label"?}, names of the classes). Subfolders are classes, where the images lie in such."""
    files = find_images(folder)
    if files[0].parent == folder:
        return {"x": read_images(files)}, ()
    names, label = np.unique([file.parent.name for file in files], return_inverse=True)
    return {"x": read_images(files), "label": label}, tuple(names.tolist())


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz, or {"x": the array of an .npy, memory-mapped}."""
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


def _side(
    file: Path, arrays: dict[str, np.ndarray], suffix: str, cache: str
) -> tuple[dict[str, np.ndarray], mapped.Survey]:
    """Check the arrays `x<suffix>` and `label<suffix>`, and return them with what was found in the first.

    Returns:
      ({"x": uint8 or float32, "label"?: int32 classes or float32 vectors}, what a pass over x found).
    """
    x, survey = _examples(file, f"x{suffix}", arrays[f"x{suffix}"], cache)
    label = arrays.get(f"label{suffix}")
    if label is None:
        return {"x": x}, survey
    is_classes = label.shape == x.shape[:1] and np.issubdtype(label.dtype, np.integer) and label.min() >= 0
    is_vectors = label.ndim == 2 and len(label) == len(x) and label.size and np.issubdtype(label.dtype, np.floating)
    if not is_classes and not (is_vectors and np.isfinite(label).all()):
        found = f"{label.dtype} of shape {label.shape}"
        raise UserError(
            f"{file}: label{suffix} is {found}; expected {len(x)} integers, 0 for the first class, or {len(x)} vectors "
            "of finite floats"
        )
    return {"x": x, "label": label.astype(np.int32 if is_classes else np.float32)}, survey


def _examples(file: Path, name: str, x: np.ndarray, cache: str) -> tuple[np.ndarray, mapped.Survey]:
    """Check examples of any supported shape and type; return them as [N, *shape], and what a pass over them found."""
    if not 2 <= x.ndim <= 4 or x.size == 0:
        raise UserError(f"{file}: {name} has shape {x.shape}; expected [N, H, W, C], [N, H, W] or [N, T]")
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise UserError(f"{file}: {name} is {x.dtype}; expected uint8 (pixels) or floats (reals)")
    x = x[..., None] if x.ndim == 3 else x
    if isinstance(x, np.memmap):
        survey = _survey_of_file(file, x, cache)
        x = mapped.Rows([x], survey=survey)
    else:
        x = mapped.as_read(x)
        survey = mapped.survey(x)
    if survey.bad:
        raise UserError(
            f"{file}: {survey.bad} of {len(x)} examples in {name} hold NaN or infinity, first number {survey.first_bad}"
        )
    return x, survey


def _survey_of_file(file: Path, x: np.ndarray, cache: str) -> mapped.Survey:
    """Return what a pass over the array in a file finds; a large one is read once, and again when it has changed."""
    if x.nbytes <= mapped.PIECE:
        return mapped.survey(x)
    return mapped.Survey(**cached.remembered(cache, file, lambda: dataclasses.asdict(mapped.survey(x))))


def _hold_out(side: dict[str, np.ndarray], share: str) -> dict[str, dict[str, np.ndarray]]:
    """Cut a share of the examples off as the test split. Raise UserError where one of both would be empty."""
    count = len(side["x"])
    held = 0
    with contextlib.suppress(ValueError, OverflowError):
        held = max(round(float(share) * count), int(float(share) > 0))
    if not 0 < held < count:
        raise UserError(f"data.split={share!r} of {count} examples leaves one side empty; expected a share such as 0.1")
    test = np.zeros(count, bool)
    # RandomState draws the same numbers in every version of NumPy.
    test[np.random.RandomState(0).permutation(count)[:held]] = True
    numbers = {"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}
    return {name: {key: mapped.rows(values, these) for key, values in side.items()} for name, these in numbers.items()}
