"""A refused version is kept hidden, and published by its path; any other version is copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service import artifact, refused
from service.manifest import ArtifactError
from tests.service.published import publish, rewrite


def refused_version(models: Path) -> Path:
    """A version that was refused, beside version 1."""
    publish(models)
    hidden = models / "small" / ".refused"
    publish(hidden, seed=1)
    return hidden / "small" / "1"


def test_a_hidden_version_is_not_served(tmp_path: Path) -> None:
    kept = refused_version(tmp_path)
    assert artifact.versions(tmp_path / "small") == [1]
    assert artifact.read(kept).manifest.name == "small"


def test_it_is_published_with_the_next_number(tmp_path: Path) -> None:
    kept = refused_version(tmp_path)
    graph = (kept / artifact.MODEL).read_bytes()
    published = refused.publish(kept)
    assert published == tmp_path / "small" / "2"
    assert artifact.read(published).model == graph
    assert not kept.exists()


def test_any_version_can_be_copied_to_another_folder(tmp_path: Path) -> None:
    publish(tmp_path / "staging")
    source = tmp_path / "staging" / "small" / "1"
    (source / "README.md").write_text("# small, version 1\n\nText with # small, version 1\n")
    page = "<title>small, version {}</title><h1>small, version {}</h1><p>small, version 1</p>"
    (source / "card.html").write_text(page.format(1, 1))
    digests = {name: artifact.sha256((source / name).read_bytes()) for name in ("README.md", "card.html")}
    rewrite(source, lambda document: document["files"].update(digests))
    for version in (1, 2):
        published = refused.publish(source, tmp_path / "live")
        assert published == tmp_path / "live" / "small" / str(version)
        card = (published / "README.md").read_text()
        assert card == f"# small, version {version}\n\nText with # small, version 1\n"
        assert (published / "card.html").read_text() == page.format(version, version)
        assert artifact.read(published).manifest.version == version
    assert source.exists()


def test_without_a_models_folder_only_a_refused_version_has_a_home(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(
        ArtifactError, match=r"is not in a folder '\.refused', so .+; say with --models where to publish"
    ):
        refused.publish(tmp_path / "small" / "1")


def test_a_damaged_version_is_not_published(tmp_path: Path) -> None:
    kept = refused_version(tmp_path)
    (kept / artifact.MODEL).write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="is not the file that was published"):
        refused.publish(kept)
    assert artifact.versions(tmp_path / "small") == [1]


@pytest.mark.parametrize("name", ["../../../stolen", ".hidden", "a/b"])
def test_a_manifest_cannot_name_other_files(tmp_path: Path, name: str) -> None:
    kept = refused_version(tmp_path)
    rewrite(kept, lambda document: document["files"].update({name: "0" * 64}))
    with pytest.raises(ArtifactError, match="expected a plain file name"):
        refused.publish(kept)
    assert json.loads((kept / "metadata.json").read_text())["files"][name]
