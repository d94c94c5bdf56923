"""Fetches pip's wheel from the configured package index into a folder, with the standard library alone.

    python3 scripts/fetch_pip.py FOLDER

The index is $PIP_INDEX_URL, or index-url in one of pip's configuration files. Exit status 1 where it has no wheel.
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
    """The configured index, or None."""
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
    """Collects the links of an index page."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href", ""))


def main():
    index = index_url()
    if not index:
        sys.exit(1)
    try:
        fetch(index, pathlib.Path(sys.argv[1]))
    except (OSError, ValueError, http.client.HTTPException):  # urllib reads no user:password@host
        sys.exit(1)


def fetch(index, folder):
    """Fetches the newest released wheel."""
    page = f"{index.rstrip('/')}/pip/"
    parser = Links()
    with urllib.request.urlopen(page, timeout=30) as answer:
        parser.feed(answer.read().decode())
    names = {urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1]: link for link in parser.links}
    wheels = [name for name in names if name.startswith("pip-") and name.endswith("-none-any.whl")]
    released = [name for name in wheels if name.split("-")[1].replace(".", "").isdigit()]
    newest = max(released, key=lambda name: tuple(map(int, name.split("-")[1].split("."))))
    with urllib.request.urlopen(urllib.parse.urljoin(page, names[newest]), timeout=120) as answer:
        (folder / newest).write_bytes(answer.read())


if __name__ == "__main__":
    main()
