"""Fetch pip's wheel from the configured package index, with the standard library alone.

    python3 scripts/fetch_pip.py FOLDER

The wheel is written into FOLDER. The index is $PIP_INDEX_URL, or index-url in one of pip's configuration files. The
exit status is 1 if no index is configured or it has no wheel.
"""

import configparser
import html.parser
import http.client
import os
import pathlib
import sys
import urllib.parse
import urllib.request


def index_url():
    """Return the URL of the configured package index, or None."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    home = pathlib.Path.home()
    for path in (
        os.environ.get("PIP_CONFIG_FILE", ""),
        home / ".config/pip/pip.conf",
        home / ".pip/pip.conf",
        "/etc/pip.conf",
    ):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        if url := parser.get("global", "index-url", fallback=None):
            return url
    return None


class Links(html.parser.HTMLParser):
    """The links of an index page, in `links` after `feed`."""

    def __init__(self):
        """Begin without links."""
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        """Add the address of a link; the parser calls this for every tag."""
        if tag == "a":
            self.links.append(dict(attrs).get("href", ""))


def main():
    """Fetch the wheel into the folder on the command line."""
    index = index_url()
    if not index:
        sys.exit(1)
    try:
        fetch(index, pathlib.Path(sys.argv[1]))
    except (OSError, ValueError, http.client.HTTPException):  # urllib cannot read user:password@host
        sys.exit(1)


def fetch(index, folder):
    """Download the newest released wheel of pip.

    Args:
      index: the URL of a package index.
      folder: the folder, a path, to which the wheel is written.

    Raises:
      ValueError: the index has no wheel.
    """
    page = f"{index.rstrip('/')}/pip/"
    parser = Links()
    with urllib.request.urlopen(page, timeout=30) as answer:
        parser.feed(answer.read().decode())
    links = {urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1]: link for link in parser.links}
    wheels = [name for name in links if name.startswith("pip-") and name.endswith("-none-any.whl")]
    # Versions such as 25.0b1 are pre-releases.
    released = [name for name in wheels if name.split("-")[1].replace(".", "").isdigit()]
    # Compared as texts, 9.0 would be newer than 25.0.
    newest = max(released, key=lambda name: tuple(map(int, name.split("-")[1].split("."))))
    with urllib.request.urlopen(urllib.parse.urljoin(page, links[newest]), timeout=120) as answer:
        (folder / newest).write_bytes(answer.read())


if __name__ == "__main__":
    main()
