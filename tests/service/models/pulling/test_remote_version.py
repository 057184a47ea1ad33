"""Nothing that a source says of a version is believed: names, sizes, numbers of files, hashes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service import artifact
from service.manifest import ArtifactError
from service.models.pulling import remote_version
from service.models.pulling.remote_version import MAX_FILES, RemoteVersion
from service.models.pulling.source import MAX_ENTRIES, Entry
from tests.service.models.pulling.sources import AT_ONCE, Unsteady
from tests.service.published import rewrite


def find(source: Unsteady) -> RemoteVersion:
    return remote_version.find(source, "small", 3, AT_ONCE)


def with_file(name: str) -> Callable[[dict[str, Any]], object]:
    """A change of the manifest: it lists one more file."""
    return lambda document: document["files"].update({name: "0" * 64})


@pytest.mark.parametrize("name", ["../../x", "a/b", "/etc/passwd", ".hidden", ".."])
def test_names_that_leave_the_folder(source: Unsteady, name: str) -> None:
    rewrite(source._folder / "small" / "3", with_file(name))
    with pytest.raises(ArtifactError, match="expected a plain file name"):
        find(source).manifest(AT_ONCE)


@pytest.mark.parametrize("name", ["more.txt", "x" * 300, "", "a\0b", "new\nline"])
def test_files_that_are_missing(source: Unsteady, name: str) -> None:
    rewrite(source._folder / "small" / "3", with_file(name))
    with pytest.raises(ArtifactError, match=r"small/3 lacks .*; it is taken once it is complete") as raised:
        find(source).manifest(AT_ONCE)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_version_without_a_manifest_or_a_graph(source: Unsteady) -> None:
    folder = source._folder / "small" / "3"
    rewrite(folder, lambda document: document["files"].pop(artifact.MODEL))
    with pytest.raises(ArtifactError, match=r"small/3: 'files' does not list model\.onnx"):
        find(source).manifest(AT_ONCE)
    (folder / artifact.MANIFEST).unlink()
    with pytest.raises(ArtifactError, match=r"small/3 has no metadata\.json; it is taken once"):
        find(source).manifest(AT_ONCE)


def test_a_manifest_of_another_version(source: Unsteady) -> None:
    rewrite(source._folder / "small" / "3", lambda document: document.update(version=4))
    with pytest.raises(ArtifactError, match="is of model 'small' version 4, but lies in the folder of 'small' version"):
        find(source).manifest(AT_ONCE)


def test_too_many_files_and_entries(source: Unsteady) -> None:
    names = {f"f{number}": "0" * 64 for number in range(MAX_FILES)}
    rewrite(source._folder / "small" / "3", lambda document: document["files"].update(names))
    with pytest.raises(ArtifactError, match=rf"small/3 has {MAX_FILES + 3} files, expected {MAX_FILES} at most"):
        find(source).manifest(AT_ONCE)
    source.listed = lambda entries: entries * (MAX_ENTRIES // len(entries) + 1)
    with pytest.raises(ArtifactError, match="which is no version"):
        find(source)


def sized(name: str, size_bytes: int) -> Callable[[list[Entry]], list[Entry]]:
    """A listing in which one file has another size."""
    return lambda entries: [replace(each, size_bytes=size_bytes) if each.name == name else each for each in entries]


def test_sizes_are_bounded_before_anything_is_copied(source: Unsteady) -> None:
    source.listed = sized(artifact.GOLDEN, artifact.MAX_FILE_BYTES + 1)
    with pytest.raises(ArtifactError, match=r"golden\.npz has more than 67,108,864 bytes"):
        find(source).manifest(AT_ONCE)
    pictures = [f"p{number}.png" for number in range(60)]
    rewrite(
        source._folder / "small" / "3", lambda document: document["files"].update(dict.fromkeys(pictures, "0" * 64))
    )
    source.listed = lambda entries: [*entries, *(Entry(each, False, artifact.MAX_FILE_BYTES, "") for each in pictures)]
    with pytest.raises(ArtifactError, match=r"has 4,[\d,]+ bytes, expected 3,221,225,472 at most"):
        find(source).manifest(AT_ONCE)
    assert set(source.opened) == {"small/3/metadata.json"}


def copied(source: Unsteady) -> tuple[RemoteVersion, str]:
    remote = find(source)
    manifest, _ = remote.manifest(AT_ONCE)
    return remote, manifest.files[artifact.MODEL]


def test_a_file_is_copied_and_counted(source: Unsteady) -> None:
    remote, digest = copied(source)
    target, chunks = io.BytesIO(), list[int]()
    content = (source._folder / "small" / "3" / artifact.MODEL).read_bytes()
    assert remote.copy(artifact.MODEL, digest, target, chunks.append) == len(content) == sum(chunks)
    assert target.getvalue() == content


def test_a_file_that_is_another_one(source: Unsteady) -> None:
    remote, _ = copied(source)
    with pytest.raises(ArtifactError, match=r"model\.onnx \(\d+ bytes\) is not the file that was published"):
        remote.copy(artifact.MODEL, "0" * 64, io.BytesIO(), len_of)


def len_of(_: int) -> None:
    """No progress is shown."""


@pytest.mark.parametrize("difference", [-10, 10])
def test_a_stream_that_ends_early_or_goes_on(source: Unsteady, difference: int) -> None:
    path = source._folder / "small" / "3" / artifact.MODEL
    listed = path.stat().st_size + difference
    source.listed = sized(artifact.MODEL, listed)
    remote, digest = copied(source)
    with pytest.raises(OSError, match=f"and {listed:,} are listed"):
        remote.copy(artifact.MODEL, digest, target := io.BytesIO(), len_of)
    assert len(target.getvalue()) <= listed


def test_the_stamp_changes_with_any_file(source: Unsteady) -> None:
    before = find(source).stamp
    assert find(source).stamp == before
    (source._folder / "small" / "3" / "new.txt").write_text("x")
    assert find(source).stamp != before


def test_a_manifest_that_is_no_json(source: Unsteady) -> None:
    (source._folder / "small" / "3" / artifact.MANIFEST).write_text(json.dumps([1]))
    with pytest.raises(ArtifactError, match=r"small/3/metadata\.json"):
        find(source).manifest(AT_ONCE)
