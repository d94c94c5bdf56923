"""Fetches pip's wheel from the configured package index into a folder, with the standard library alone.

    python3 scripts/fetch_pip.py FOLDER

The index is $PIP_INDEX_URL, or index-url in one of pip's configuration files. Exit status 1 where there is none.
"""

import configparser
import html.parser
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
        parser = configparser.ConfigParser()
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
    page = f"{index.rstrip('/')}/pip/"
    parser = Links()
    with urllib.request.urlopen(page, timeout=30) as answer:
        parser.feed(answer.read().decode())
    names = {urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1]: link for link in parser.links}
    wheels = [name for name in names if name.startswith("pip-") and name.endswith("-none-any.whl")]
    released = [name for name in wheels if name.split("-")[1].replace(".", "").isdigit()]
    newest = max(released, key=lambda name: tuple(map(int, name.split("-")[1].split("."))))
    with urllib.request.urlopen(urllib.parse.urljoin(page, names[newest]), timeout=120) as answer:
        (pathlib.Path(sys.argv[1]) / newest).write_bytes(answer.read())


if __name__ == "__main__":
    main()
