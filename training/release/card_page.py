"""The card as one HTML file, ``card.html``: rendered from the card's Markdown, with its pictures inside it."""

from __future__ import annotations

import base64
import html
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

README: Final = "README.md"  # the same card as Markdown
FILE: Final = "card.html"
_TEMPLATE: Final = Template(Path(__file__).with_name("card_page.html").read_text(encoding="utf-8"))
_DENSITY: Final = 2  # pixels of a picture for each pixel of the page
_MIN_WIDTH: Final = 160
_WIDE: Final = 500  # what would be too small on a phone scrolls sideways


def page(markdown: str, pictures: Mapping[str, bytes]) -> bytes:
    """The HTML of the card ``markdown``, whose first line is its title.

    ``pictures`` are PNG files by name; those that the card shows become part of the page. HTML in the Markdown is shown
    as text, and nothing is loaded from elsewhere.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", _image)
    tokens = parser.parse(markdown)
    contents = [_named(*pair, number) for number, pair in enumerate(_headings(tokens), 1)]
    _mark_row_heads(tokens)
    _wrap_tables(tokens)
    body = parser.renderer.render(tokens, parser.options, {"pictures": pictures})
    introduction, mark, sections = body.partition("<h2")
    return _TEMPLATE.substitute(
        title=html.escape(_title(tokens)),
        introduction=introduction,
        contents="\n".join(contents),
        sections=mark + sections,
    ).encode()


def _title(tokens: Sequence[Token]) -> str:
    found = [after for token, after in pairwise(tokens) if token.tag == "h1"]
    return _plain(found[0]) if found else "Model card"


def _plain(token: Token) -> str:
    """The text of a heading."""
    return "".join(each.content for each in token.children or ())


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    """The second-level headings and their texts."""
    for token, after in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            yield token, after


def _named(heading: Token, content: Token, number: int) -> str:
    """Give a heading an id, and return the line of the table of contents that leads to it."""
    text = _plain(content)
    words = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
    heading.attrSet("id", f"{words}-{number}")
    return f'<li><a href="#{words}-{number}">{html.escape(text)}</a></li>'


def _mark_row_heads(tokens: Sequence[Token]) -> None:
    """Make the first cell of each row its head, as a screen reader announces it."""
    for index, token in enumerate(tokens):
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type == "tr_open" and tokens[index + 1].type == "td_open":
            opening, _, closing = tokens[index + 1 : index + 4]
            opening.tag = closing.tag = "th"
            opening.attrSet("scope", "row")


def _wrap_tables(tokens: list[Token]) -> None:
    """Let wide tables scroll within the page, also by the keyboard."""
    for index in reversed(range(len(tokens))):
        if tokens[index].type == "table_close":
            tokens.insert(index + 1, Token("wrap_close", "div", -1, block=True))
        elif tokens[index].type == "table_open":
            head = _plain(tokens[index + 3 + 1]) if tokens[index + 3].type == "th_open" else ""
            wrap = Token("wrap_open", "div", 1, block=True)
            wrap.attrs = {"class": "scroll", "role": "group", "tabindex": "0", "aria-label": f"table: {head}"}
            tokens.insert(index, wrap)


def _image(_: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    """A picture of the card, as a part of the page; of any other, the text that stands for it."""
    token = tokens[index]
    alt = html.escape("".join(each.content for each in token.children or ()))
    content = env["pictures"].get(token.attrs.get("src"))
    if content is None:
        return f"<em>{alt}</em>"
    width, height = struct.unpack(">II", content[16:24])
    shown = max(width // _DENSITY, min(width, _MIN_WIDTH))
    data = base64.b64encode(content).decode()
    size = f'width="{shown}" height="{height * shown // width}"'
    image = f'<img alt="{alt}" {size} src="data:image/png;base64,{data}">'
    if shown < _WIDE:
        return image
    return f'<span class="scroll" role="group" tabindex="0" aria-label="picture: {alt}">{image}</span>'
