"""Text from data looks as it is in Markdown, also where HTML, strikethrough and automatic links are allowed."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from training.release.markdown import code, table, text

# HTML is allowed, so that what the escaping lets through is seen.
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = (
    *('<script>alert("1")</script>', "<!-- a -->", "<b", "a <b> & </b>", "&lt;", "&#60;script&#62;", "&copy;"),
    *("*a*", "_a_", "a_b_c", "__a__", "**a**", "`a`", "``a`", "~~a~~", "\\", "\\*a\\*", "a\\", "a|b", "a\\|b"),
    *("[a](javascript:alert(1))", "![a](https://example.com/a.png)", "[a]", "[a]: b", "<https://example.com>", "$x$"),
    *("# a", "#", "- a", "+ a", "* a", "1. a", "12) a", "1.", "> a", "---", "===", "= a", "    a", "\ta", "```", "~~~"),
    *("a\nb", "a\n# b", "a\r\n\r\n<b>", "a\u2028b", "\x1b[31m", "\x00", "\ud800", "日本", "", " "),
)


def one_line(value: str) -> str:
    """What is seen of a text: its white space is single spaces, and control characters are replaced."""
    return " ".join(re.sub("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]", "\ufffd", value).split())


def as_html(value: str) -> str:
    return html.escape(one_line(value), quote=False).replace('"', "&quot;")


def listed_in(function: object) -> object:
    """Test with each hostile text too."""
    for each in HOSTILE:
        function = example(each)(function)  # type: ignore[arg-type]
    return function


@listed_in
@given(st.text() | st.text("\\`*_[]()<>#+-.!|~&$:;@ \n1ab", max_size=12))
def test_text_is_shown_as_it_is(value: str) -> None:
    paragraph = PARSER.render(text(value))
    assert paragraph.replace("<p>", "").replace("</p>\n", "") == as_html(value)
    item = PARSER.render(f"- {text(value)}\n- z\n")
    assert item == f"<ul>\n<li>{as_html(value)}</li>\n<li>z</li>\n</ul>\n"


@listed_in
@given(st.text() | st.text("\\`|_* 1ab", max_size=8))
def test_cells_and_code_are_shown_as_they_are(value: str) -> None:
    found = PARSER.render(table(["a", "b"], [[text(value), f"x{code('y' + value)}"]]))
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", found)
    assert cells == ["a", "b", as_html(value), f"x<code>{as_html('y' + value)}</code>"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("sepal_length_(cm)", "sepal_length\\_(cm)"),
        ("0.2 to 54.8, mean 7.815 ± 5.845", "0.2 to 54.8, mean 7.815 ± 5.845"),
        ("-3 to 4", "-3 to 4"),
        ("AT&T, R&D", "AT&T, R&D"),
        ("c:\\data", "c:\\\\data"),
    ],
)
def test_usual_text_stays_readable(value: str, written: str) -> None:
    assert text(value) == written


@pytest.mark.parametrize("link", ["https://example.com", "www.example.com", "mail@example.com"])
def test_nothing_becomes_a_link_where_links_are_found_in_text(link: str) -> None:
    """GitHub links these without any markup: https://github.github.com/gfm/#autolinks-extension-."""
    assert "\\" in text(f"see {link}")
    assert PARSER.render(text(link)) == f"<p>{link}</p>\n"
