"""The card as a page: all of the Markdown, pictures inside, nothing from elsewhere, no HTML from data."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.training.release.test_markdown import HOSTILE
from tests.training.trained import Trained
from training.release import card_page, plots
from training.release.markdown import code, table, text

PICTURE = plots.image(np.array([[0, 255]], np.uint8))
VOID = {"meta", "img", "br", "hr"}


@dataclass
class Read(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and the text of each tag."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, page: bytes) -> Read:
        found = cls()
        found.feed(page.decode())
        assert found.open == [], "all elements are closed"
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    def text(self, tag: str) -> str:
        return "".join(data for found, data in self.texts if found == tag)


def test_headings_are_the_contents() -> None:
    found = Read.of(card_page.page("# a & b, version 1\n\nHello.\n\n## Scores\n\nx\n\n## Scores\n\ny\n", {}))
    assert found.text("title") == found.text("h1") == "a & b, version 1"
    assert [each["id"] for each in found.all("h2")] == ["scores-1", "scores-2"]
    assert [each["href"] for each in found.all("a")] == ["#scores-1", "#scores-2"]


def test_pictures_are_inside_and_others_are_not_loaded() -> None:
    page = card_page.page("# a\n\n![b *c* <d>](e.png)\n\n![f](https://example.com/g.png)\n", {"e.png": PICTURE})
    found = Read.of(page)
    (image,) = found.all("img")
    source = str(image["src"]).removeprefix("data:image/png;base64,")
    assert base64.b64decode(source) == PICTURE
    assert (image["alt"], image["width"], image["height"]) == ("b c <d>", "16", "8")
    assert b"example.com" not in page


def test_tables_have_heads_for_columns_and_rows() -> None:
    found = Read.of(card_page.page("# a\n\n" + table(["class", "recall"], [["x", "1"], ["y", "0"]]) + "\n", {}))
    assert [each["scope"] for each in found.all("th")] == ["col", "col", "row", "row"]
    assert len(found.all("td")) == 2
    assert {"tabindex": "0", "aria-label": "table: class"}.items() <= found.all("div")[0].items()


@pytest.mark.parametrize("value", HOSTILE)
def test_text_from_data_is_only_text(value: str) -> None:
    def page(each: str) -> Read:
        return Read.of(
            card_page.page(
                f"# small, version 1\n\nIt has {text(each)}, {code('x' + each)}.\n\n## Features\n\n"
                + table([f"of {text(each)}", "b"], [[text(each), code("x" + each)]])
                + f"\n\n- {text(each)}\n\n![importance: {text(each)}](a.png)\n",
                {"a.png": PICTURE},
            )
        )

    plain, found = page("plain"), page(value)
    plain_elements, elements = ([(tag, sorted(each)) for tag, each in read.elements] for read in (plain, found))
    assert elements == plain_elements


def test_the_page_says_what_the_card_says(digits: Trained) -> None:
    markdown, page = ((digits.folder / name).read_text() for name in ("README.md", "card.html"))
    pictures = {path.name: path.read_bytes() for path in digits.folder.glob("*.png")}
    assert page == card_page.page(markdown, pictures).decode()
    found = Read.of(page.encode())
    assert len(found.all("img")) == len(pictures) == 5
    assert all(each["alt"] for each in found.all("img"))
    assert "script" not in found.tags()
    assert "http" not in "".join(str(value) for _, each in found.elements for value in each.values())
