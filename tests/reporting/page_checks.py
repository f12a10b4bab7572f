"""What the tests of every page need: a reader of pages, a name that is also code, and what no page may break."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

EVIL = "<script>alert('x')</script>"
RENDER = """
import hashlib, pickle, sys
with open(sys.argv[1], "rb") as stream:
    render, inputs = pickle.load(stream)
print(hashlib.sha256(render(**inputs).encode()).hexdigest())
"""


class Reader(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self._in = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._in = ""

    def handle_data(self, data: str) -> None:
        """Note text, or the content of a script or style."""
        if self._in == "script":
            self.scripts[-1] += data
        else:
            (self.styles if self._in == "style" else self.text).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of each element of a kind."""
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def plots(self) -> list[dict[str, str | None]]:
        """Attributes of each place for a figure."""
        return [attrs for attrs in self.all("div") if attrs.get("class") == "plot"]

    @property
    def policy(self) -> str:
        """The page's content security policy."""
        (found,) = [attrs["content"] or "" for attrs in self.all("meta") if "http-equiv" in attrs]
        return found

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.text).split())


def words_of(page: str) -> str:
    """All text of a page, with single spaces."""
    return Reader(page).words


def plots_of(page: str) -> list[str]:
    """Names of a page's figures, in the order of the page."""
    return [str(attrs["id"]).removeprefix("figure-") for attrs in Reader(page).plots]


def assert_whole(page: str, *, headings: Iterable[str], figures: Iterable[str]) -> None:
    """Every heading and figure is there, in order, each figure with its words and data, each table with a caption."""
    reader = Reader(page)
    count = Counter(tag for tag, _ in reader.elements)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [attrs["id"] for attrs in reader.all("h2")] == [*headings]
    assert plots_of(page) == [*figures]
    assert all(attrs["aria-label"] and attrs["role"] == "img" for attrs in reader.plots)
    assert {f"{attrs['id']}-data" for attrs in reader.plots} <= set(ids)
    assert count["table"] == count["caption"]
    assert count["h1"] == 1


def assert_nothing_is_empty(words: str) -> None:
    """No value that was not there is shown as Python shows it."""
    assert not re.search(r"\bnan\b|\bNone\b|NaN", words)


def assert_names_stay_text(page: str) -> None:
    """A name that is code is shown, and only the page's own two scripts may run."""
    reader = Reader(page)
    assert EVIL not in page
    assert EVIL in reader.words
    kinds = [attrs.get("type") for attrs in reader.all("script")]
    assert kinds == ["application/json"] * len(reader.plots) + [None, None]
    assert not any(name.startswith("on") for _, attrs in reader.elements for name in attrs)
    hashes = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in reader.scripts[-2:]]
    assert reader.policy.startswith("default-src 'none'; script-src 'sha256-")
    found = re.search(r"script-src ([^;]*);", reader.policy)
    assert found is not None
    assert found[1].split() == [f"'sha256-{each}'" for each in hashes]
    assert page.count("* plotly.js v") == 1
    assert not {"link", "iframe", "object", "embed", "img"} & {tag for tag, _ in reader.elements}


def assert_nothing_is_fetched(page: str) -> None:
    """No element and no style names another file."""
    reader = Reader(page)
    for _, attrs in reader.elements:
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#")
    assert all("url(" not in style and "@import" not in style for style in reader.styles)


def assert_equal_bytes_elsewhere(
    page: str, render: Callable[..., str], inputs: Mapping[str, Any], folder: Path
) -> None:
    """Another process, which hashes otherwise, writes the same page."""
    (folder / "inputs").write_bytes(pickle.dumps((render, inputs)))
    command = [sys.executable, "-c", RENDER, str(folder / "inputs")]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # this process has another one
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.strip() == hashlib.sha256(page.encode()).hexdigest()
