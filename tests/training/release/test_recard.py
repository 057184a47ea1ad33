"""A published version's card is rendered again: the text as edited, the graphs as they were, the hashes of the card."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from service.manifest import ArtifactError
from tests.training.trained import Trained
from training.data.dataset import TEST, Dataset, Division
from training.errors import DataError
from training.release import recard
from training.release.recard import main


@pytest.fixture
def version_dir(digits: Trained, tmp_path: Path) -> Path:
    """A copy of a published version."""
    folder = tmp_path / "digits" / "1"
    shutil.copytree(digits.folder, folder)
    return folder


def given(digits: Trained) -> Dataset:
    """The data set, as if its publisher had given its test rows."""
    parts = np.zeros(len(digits.dataset.inputs), np.int8)
    parts[digits.parts.test] = TEST
    return replace(digits.dataset, division=Division(parts))


def test_an_edited_card_is_rendered_and_verified_again(version_dir: Path) -> None:
    card = version_dir / "README.md"
    card.write_text(card.read_text() + "\n## Limits\n\nOnly for **tests**.\n")
    before = artifact.read(version_dir)
    assert main([str(version_dir)]) == 0
    manifest, files = artifact.read_files(version_dir)
    assert b"<p>Only for <strong>tests</strong>.</p>" in files["card.html"]
    assert replace(manifest, files={}) == replace(before.manifest, files={})
    changed = {name for name, digest in manifest.files.items() if before.manifest.files[name] != digest}
    assert changed == {"README.md", "card.html"}
    assert not [*version_dir.glob(".*")]


def test_a_version_from_before_pages_gets_one(version_dir: Path) -> None:
    page = (version_dir / "card.html").read_bytes()
    (version_dir / "card.html").unlink()
    assert main([str(version_dir)]) == 0
    assert (version_dir / "card.html").read_bytes() == page
    assert artifact.read_files(version_dir)[1]["card.html"] == page


def test_the_errors_of_a_run_are_drawn_again_from_the_graph(version_dir: Path, digits: Trained) -> None:
    _, before = artifact.read_files(version_dir)
    for name in ("mistakes.png", "confusion.png"):
        (version_dir / name).unlink()
    text = before["README.md"].decode()
    start, end = text.index("## Errors"), text.index("## Usage")
    (version_dir / "README.md").write_text(text[:start] + "## Errors\n\nOld.\n\n" + text[end:])
    manifest = artifact.read_manifest(version_dir)
    kept = {name: digest for name, digest in manifest.files.items() if (version_dir / name).exists()}
    (version_dir / artifact.MANIFEST).write_text(replace(manifest, files=kept).to_json())
    recard.recard(version_dir, given(digits))
    _, files = artifact.read_files(version_dir)
    assert files.keys() == before.keys()
    for name in ("README.md", "confusion.png", "mistakes.png", artifact.MODEL):
        assert files[name] == before[name]


def test_a_card_without_errors_gets_them_at_its_end(version_dir: Path, digits: Trained) -> None:
    (version_dir / "README.md").write_text("# digits, version 1\n\nOne line.\n")
    recard.recard(version_dir, given(digits))
    headings = [line for line in (version_dir / "README.md").read_text().splitlines() if line.startswith("#")]
    assert headings == ["# digits, version 1", "## Errors"]


def test_other_rows_than_those_of_the_scores_are_refused(version_dir: Path, digits: Trained) -> None:
    dataset = given(digits)
    other = replace(dataset, targets=(dataset.targets + 1) % 10)
    with pytest.raises(DataError, match=r"accuracy on the test images of digits is 0\.\d+, and digits was scored with"):
        recard.recard(version_dir, other)
    with pytest.raises(DataError, match="digits has no test images of its own with the classes of digits"):
        recard.recard(version_dir, digits.dataset)


def test_a_damaged_graph_is_refused(version_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (version_dir / artifact.MODEL).write_bytes(b"damaged")
    with pytest.raises(ArtifactError):
        recard.recard(version_dir)
    assert main([str(version_dir)]) == 1
    assert capsys.readouterr().err.startswith("recard: ")
