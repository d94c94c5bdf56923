"""Web pages of one file each, which need no server and no network: templates, styles, scripts, and what fills them."""

import base64
import html
import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_FOLDER = pathlib.Path(__file__).parent


class Page:
    """A page as a figure is: `savefig` writes it."""

    file_format = "html"

    def __init__(self, text: str):
        self.html = text

    def savefig(self, file, **_) -> None:
        """Writes the page into a binary file."""
        file.write(self.html.encode())

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame."""
        return f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="760" style="border: 0"></iframe>'


def render(template: str, data: Mapping[str, Any] | None = None, **words: Any) -> Page:
    """The page of a template in this folder. `words` are shown as text, whatever letters are in them; `data`, arrays
    among them, is what the page's scripts read.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.globals["file"] = lambda name: jinja2.utils.markupsafe.Markup((_FOLDER / name).read_text())
    # Inside a script element only "</" and "<!--" could end or confuse it.
    text = json.dumps(data or {}, default=_packed).replace("<", "\\u003c")
    return Page(environment.get_template(template).render(data=jinja2.utils.markupsafe.Markup(text), **words))


def _packed(value: Any) -> Any:
    """An array as the page's script `unpack` reads it."""
    value = np.asarray(value)
    if value.dtype.kind in "US":
        return value.tolist()
    return {"type": value.dtype.name, "shape": value.shape, "base64": base64.b64encode(value.tobytes()).decode()}


def sprite(images: np.ndarray, levels: int = 16) -> dict[str, Any]:
    """Images uint8 [N, H, W, C] as one PNG, side by side in rows; grey ones in `levels` greys, which with
    16 of them is a third smaller."""
    from PIL import Image

    count, height, width, channels = images.shape
    across = max(1, int(np.ceil(np.sqrt(count))))
    sheet = np.zeros((-(-count // across) * across, height, width, channels), np.uint8)
    sheet[:count] = images
    rows = sheet.reshape(-1, across, height, width, channels).swapaxes(1, 2)
    whole = rows.reshape(-1, across * width, channels)
    if channels == 3:
        picture = Image.fromarray(whole)
    else:
        steps = np.round(whole.mean(axis=2) * ((levels - 1) / 255)).astype(np.uint8)
        picture = Image.fromarray(steps, mode="P")
        greys = np.round(np.arange(levels) * 255 / (levels - 1)).astype(int)
        picture.putpalette([int(grey) for grey in greys for _ in range(3)])
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True, bits=4 if channels != 3 and levels <= 16 else 8)
    return {"png": base64.b64encode(file.getvalue()).decode(), "across": across, "height": height, "width": width}
