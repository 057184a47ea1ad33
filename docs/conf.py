"""The site of docs/, which Sphinx builds with `make docs`; works without the internet.

Pages are Markdown that reads as well on GitHub. Their links to files outside docs/ lead to ``SOURCE_URL``, the
repository in a browser, such as https://github.com/owner/name/blob/main; by default to this checkout.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
SOURCE_URL = os.environ.get("SOURCE_URL") or ROOT.as_uri()

project = "mlp-serving"
author = "the authors of mlp-serving"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Of links to files outside docs/, which `_mark_source` marks with the scheme "source".
myst_url_schemes = {"http": None, "https": None, "source": f"{SOURCE_URL}/{{{{path}}}}#{{{{fragment}}}}"}
# Anchors of headings as on GitHub.
myst_heading_anchors = 4
# Types are in the docstrings, and name classes of other projects, whose documentation is on the internet.
autodoc_typehints = "none"
napoleon_google_docstring = False
nitpick_ignore_regex = [("py:.*", ".*")]

highlight_language = "text"

html_theme = "furo"
html_title = f"{project} {release}"
html_favicon = "../service/http/static/page/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
linkcheck_ignore = ["http://localhost"]

# A reference to the literature, as ``[1]_``, and its entry in the list.
_REFERENCE = re.compile(r"(?<=\.\. )\[(\d+)\]|\[(\d+)\](?=_)")
_LINK = re.compile(r"(?<!!)(\[[^\]]*\]\()\.\./([^)]+\))")


def setup(app: Sphinx) -> None:
    """Let links that leave docs/ lead to the repository, and give each docstring references of its own."""
    app.connect("source-read", _mark_source)
    app.connect("autodoc-process-docstring", _name_references)


def _mark_source(_app: Sphinx, _page: str, content: list[str]) -> None:
    content[0] = _LINK.sub(r"\1source:\2", content[0])


def _name_references(_app: Sphinx, _what: str, name: str, _value: object, _options: object, lines: list[str]) -> None:
    owner = name.rpartition(".")[2]
    lines[:] = [_REFERENCE.sub(lambda found: f"[{owner}-{found[1] or found[2]}]", line) for line in lines]
