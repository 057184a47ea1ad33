"""The changelog has this version, and the pages name its image."""

from __future__ import annotations

import re

from tests.deploy.rendered import version
from tests.documents.pages import PAGES, ROOT


def test_this_version_is_dated_below_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(version())}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_every_page_names_the_image_of_this_version() -> None:
    named = {tag for page in PAGES for tag in re.findall(r"mlp-serving:(\d+\.\d+\.\d+)", page.read_text())}
    assert named == {version()}
