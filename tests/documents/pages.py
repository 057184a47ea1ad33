"""The pages about the project, and what the tests read from them: tables, code, links, headings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
# Every page that people read; the model card is written by training.
PAGES: Final = (
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "deploy").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "examples" / "README.md",
)


def named(page: Path) -> str:
    """The path of a page below the root, such as ``docs/api.md``."""
    return page.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    """The text of a page of docs/, by its name without ``.md``."""
    return (DOCS / f"{name}.md").read_text()


def table(text: str, heading: str | None = None) -> list[str]:
    """The rows of the first table of a page, or of the section below a heading."""
    if heading is not None:
        text = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = lines[first:]
    last = next((number for number, line in enumerate(rows) if not line.startswith("|")), len(rows))
    return rows[2:last]


def code(text: str, language: str) -> list[str]:
    """The blocks of code in a language, in order."""
    return re.findall(rf"^```{language}\n(.+?)^```$", text, re.DOTALL | re.MULTILINE)


def without_code(text: str) -> str:
    """``text`` without its blocks and spans of code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.+?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def curl_lines(text: str) -> list[str]:
    """The lines that begin with curl."""
    return [line for line in text.splitlines() if line.startswith("curl ")]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as on GitHub."""
    text = re.sub(r"^```.+?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
