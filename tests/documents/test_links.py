"""Every link within the project leads to a file and a heading that exist, and every page can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents.pages import DOCS, PAGES, README, ROOT, anchors, code, named, without_code

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
PICTURE = re.compile(r'<img src="([^"]+)"')


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_is_valid(page: Path) -> None:
    for path, anchor in LINK.findall(without_code(page.read_text())):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
    assert [path for path in PICTURE.findall(page.read_text()) if not (page.parent / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_sent_exists(page: Path) -> None:
    sent = re.findall(r"@((?:models|examples)/[\w./-]+)", page.read_text())
    assert [name for name in sent if not (ROOT / name).exists()] == []


def test_the_index_lists_every_page_and_the_site_has_it() -> None:
    text = (DOCS / "index.md").read_text()
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    trees = "\n".join(code(text, r"\{toctree\}"))
    assert {path.removesuffix(".md") for path, _ in LINK.findall(text)} >= pages
    assert sorted(re.findall(r"^[\w-]+$", trees, re.MULTILINE)) == sorted(pages)


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / path).resolve() for path, _ in LINK.findall(README.read_text()) if path}
    assert [named(page) for page in PAGES if page not in linked | {README, DOCS / "python-api.md"}] == []
