"""A folder as a source: links that leave it, pipes and hidden names are not followed, read or listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.manifest import ArtifactError
from service.models.pulling.local_source import LocalSource


def test_it_lists_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    listed = {entry.name: (entry.is_folder, entry.size_bytes) for entry in LocalSource(tmp_path).entries()}
    assert listed["file"] == (False, 3)
    assert listed["folder"][0]
    assert listed.keys() == {"file", "folder"}


def test_the_stamp_changes_with_the_file(tmp_path: Path) -> None:
    source = LocalSource(tmp_path)
    (tmp_path / "file").write_bytes(b"abc")
    (before,) = source.entries()
    os.utime(tmp_path / "file", ns=(1, 1))
    (after,) = source.entries()
    assert before.stamp != after.stamp


def test_links_inside_are_followed_and_those_that_leave_are_not(tmp_path: Path) -> None:
    root = tmp_path / "models"
    (root / "small").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "data").write_text("data")
    (root / "small" / "inside").symlink_to("../data")
    (root / "small" / "outside").symlink_to("../../secret")
    (root / "away").symlink_to(tmp_path)
    source = LocalSource(root)
    with source.open("small", "inside") as file:
        assert file.read() == b"data"
    with pytest.raises(ArtifactError, match=r"outside leads to .*/secret, outside '.*/models'; publish"):
        source.open("small", "outside").__enter__()
    with pytest.raises(ArtifactError, match="away leads to"):
        source.entries("away")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="pipe is no file"):
        LocalSource(tmp_path).open("pipe").__enter__()
