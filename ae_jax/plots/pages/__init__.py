"""Web pages of one file each, with their templates, styles, scripts and data.

A page needs neither a server nor a network.
"""

import base64
import html
import io
import json
import pathlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

_FOLDER = pathlib.Path(__file__).parent


class Page:
    """A web page, which is saved as a Figure is: by `savefig`."""

    file_format = "html"

    def __init__(self, text: str):
        """Keep the text of the page."""
        self.html = text

    def savefig(self, file: IO[bytes], **_: Any) -> None:
        """Write the page into a binary file. A Figure's options are ignored."""
        file.write(self.html.encode())

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        return f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="760" style="border: 0"></iframe>'


def render(template: str, data: Mapping[str, Any] | None = None, **words: Any) -> Page:
    """Fill a template.

    Args:
      template: name of a file in this folder.
      data: what the scripts of the page read: JSON values and arrays.
      **words: what the template shows. They appear as text, whatever characters they contain.

    Returns:
      The page.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    # A file of ours is inserted as it is; everything else is escaped.
    environment.globals["file"] = _insert
    # Inside a script element, "</" and "<!--" would end or confuse it, so "<" is written as an escape of JSON.
    text = json.dumps(data or {}, default=_packed).replace("<", "\\u003c")
    return Page(environment.get_template(template).render(data=jinja2.utils.markupsafe.Markup(text), **words))


def _insert(name: str) -> Any:
    """Return a file of this folder as text that the template does not escape."""
    import jinja2

    return jinja2.utils.markupsafe.Markup((_FOLDER / name).read_text())


def _packed(value: Any) -> Any:
    """Return an array in the form that `unpack` in data.js reads."""
    value = np.asarray(value)
    if value.dtype.kind in "US":
        return value.tolist()
    return {"type": value.dtype.name, "shape": value.shape, "base64": base64.b64encode(value.tobytes()).decode()}


def sprite(images: np.ndarray, levels: int = 16) -> dict[str, Any]:
    """Pack images into a single PNG, side by side in rows.

    Args:
      images: uint8 [N, H, W, C].
      levels: the number of greys, for images that have no three channels. With 16, the file is a third smaller than
        with 256.

    Returns:
      {"png": base64, "across": images in a row, "height", "width": of an image in pixels}.
    """
    from PIL import Image

    count, height, width, channels = images.shape
    across = max(1, int(np.ceil(np.sqrt(count))))
    # The last row is filled up with black images.
    sheet = np.zeros((-(-count // across) * across, height, width, channels), np.uint8)
    sheet[:count] = images
    rows = sheet.reshape(-1, across, height, width, channels).swapaxes(1, 2)
    joined = rows.reshape(-1, across * width, channels)
    if channels == 3:
        picture = Image.fromarray(joined)
    else:
        # A palette of few greys lets the PNG store four bits for a pixel.
        steps = np.round(joined.mean(axis=2) * ((levels - 1) / 255)).astype(np.uint8)
        picture = Image.fromarray(steps, mode="P")
        greys = np.round(np.arange(levels) * 255 / (levels - 1)).astype(int)
        picture.putpalette(np.repeat(greys, 3).tolist())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True, bits=4 if channels != 3 and levels <= 16 else 8)
    return {"png": base64.b64encode(file.getvalue()).decode(), "across": across, "height": height, "width": width}
