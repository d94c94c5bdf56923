"""A user's own files of every kind, with the array that NumPy, Pillow or pandas reads from each."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from PIL import Image

COUNT = 40
RNG = np.random.RandomState(0)
TABLE = pandas.DataFrame(RNG.randn(COUNT, 3) * [1, 10, 1000] + 50, columns=["age", "height", "income"])
TABLE["species"] = np.array(["cat", "dog", "eel"])[np.arange(COUNT) % 3]
GREY = RNG.randint(0, 256, (COUNT, 8, 6)).astype(np.uint8)
COLOUR = RNG.randint(0, 256, (COUNT, 8, 6, 3)).astype(np.uint8)
SERIES = RNG.randn(COUNT, 12, 2)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
      what: what the file is, for the documentation.
      name: its name.
      make: the function that writes it at a path.
      x: all its examples, in the order of the file, as another library reads them; channels last.
      keys: the keys of section data that it needs.
      likelihood: the likelihood that fits it.
    """

    what: str
    name: str
    make: Callable[[Path], Any]
    x: np.ndarray
    keys: dict[str, Any] = dataclasses.field(default_factory=dict)
    likelihood: str = "gaussian"

    def row(self, built: Any) -> str:
        """Return the row of this kind in the table of docs/your-data.md.

        Args:
          built: the experiment that was trained on it.
        """
        spec = built.spec
        flags = " ".join(f"`--config.{key}={value}`" for key, value in self.keys.items()) or "none"
        kind = {"pixels": f"pixels of {spec.levels} levels", "reals": "real numbers"}[spec.kind]
        form = f"{kind}, {' x '.join(map(str, spec.shape))}"
        classes = ", ".join(spec.class_names) or "none"
        counts = " + ".join(f"{len(side['x'])} {name}" for name, side in built.splits.items())
        return f"| {self.what} | `{self.name}` | {flags} | {form} | {classes} | {counts} |"


def save_all(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(
            folder / f"{number:03}{suffix}", **({"lossless": True} if suffix == ".webp" else {})
        )


def classes(folder):
    for number, name in enumerate(("cats", "dogs")):
        save_all(folder / name, GREY[number::2])


def splits(folder):
    for name, part in (("train", GREY[:24]), ("val", GREY[24:32]), ("test", GREY[32:])):
        save_all(folder / name, part)


def transparent(folder):
    alpha = np.where(GREY > 127, 255, 0).astype(np.uint8)
    save_all(folder, np.concatenate([COLOUR, alpha[..., None]], axis=-1))


NUMBERS = TABLE.iloc[:, :3].to_numpy()
SCALED = {"data.scale": "standardize"}
ON_WHITE = np.where((GREY > 127)[..., None], COLOUR, 255)
BITS_16 = GREY.astype(np.uint16) * 200
HALF = (COLOUR / 255).astype(np.float16)
FIRST = COLOUR.transpose(0, 3, 1, 2)
VOLUMES = SERIES.reshape(COUNT, 2, 3, 4, 1)
LABEL = np.arange(COUNT) % 3 + 1
NAMED = {"x_train": GREY[:30], "y_train": LABEL[:30], "x_test": GREY[30:], "y_test": LABEL[30:]}
PIXELS = "bernoulli"
KINDS = [
    Kind("table", "t.csv", lambda path: TABLE.to_csv(path, index=False), NUMBERS, SCALED),
    Kind("table, tabs", "t.tsv", lambda path: TABLE.to_csv(path, sep="\t"), NUMBERS, SCALED),
    Kind("table, Parquet", "t.parquet", TABLE.to_parquet, NUMBERS, SCALED),
    Kind("vectors or univariate series", "v.npy", lambda path: np.save(path, SERIES[:, :, 0]), SERIES[:, :, 0]),
    Kind("whole numbers", "n.npy", lambda path: np.save(path, GREY[:, 0].astype(int)), GREY[:, 0], SCALED),
    Kind("grey images", "g.npy", lambda path: np.save(path, GREY), GREY[..., None], {}, PIXELS),
    Kind("16-bit images", "g16.npy", lambda path: np.save(path, BITS_16), BITS_16[..., None], {}, PIXELS),
    Kind("masks", "b.npy", lambda path: np.save(path, GREY > 127), (GREY > 127)[..., None], {}, PIXELS),
    Kind("half precision in [0, 1]", "h.npy", lambda path: np.save(path, HALF), HALF, {}, PIXELS),
    Kind("channels first", "c.npy", lambda path: np.save(path, FIRST), COLOUR, {"data.layout": "NCHW"}, PIXELS),
    Kind("several series", "s.npy", lambda path: np.save(path, SERIES), SERIES, {"data.layout": "NTC"}),
    Kind("volumes", "d.npy", lambda path: np.save(path, VOLUMES), VOLUMES),
    Kind("named arrays", "k.npz", lambda path: np.savez(path, **NAMED), GREY[..., None], {}, PIXELS),
    Kind("folder of images", "photos", lambda path: save_all(path, COLOUR), COLOUR, {}, PIXELS),
    Kind("a folder a class", "animals", classes, np.concatenate([GREY[::2], GREY[1::2]])[..., None], {}, PIXELS),
    Kind("train/, val/ and test/", "split", splits, GREY[..., None], {}, PIXELS),
    Kind("transparent images", "icons", transparent, ON_WHITE, {}, PIXELS),
    Kind("16-bit TIFF", "scans", lambda path: save_all(path, BITS_16, ".TIF"), BITS_16[..., None], {}, PIXELS),
]
