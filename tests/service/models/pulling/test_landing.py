"""A version appears whole or not at all, whatever happens while it is copied."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from service import artifact
from service.models.pulling import landing, remote_version
from service.models.pulling.landing import NotWritable
from service.models.pulling.source import Entry
from tests.service.forked import in_a_child
from tests.service.models.pulling.sources import AT_ONCE, TRIES, Unsteady


def land(source: Unsteady, models: Path) -> None:
    models.mkdir(exist_ok=True)
    remote = remote_version.find(source, "small", 3, AT_ONCE)
    manifest, content = remote.manifest(AT_ONCE)
    landing.land(remote, manifest, content, models, AT_ONCE, lambda _: None)


def everything(models: Path) -> dict[str, bytes]:
    return {str(path.relative_to(models)): path.read_bytes() for path in models.rglob("*") if path.is_file()}


def test_the_copy_is_what_was_published(source: Unsteady, tmp_path: Path) -> None:
    for model in ("first", "second"):  # the model's folder is new, then it is there
        land(source, tmp_path / "copy")
        copy = artifact.read_files(tmp_path / "copy" / "small" / "3")
        assert copy == artifact.read_files(source._folder / "small" / "3"), model
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["small"]
    assert sorted(path.name for path in (tmp_path / "copy" / "small").iterdir()) == ["3"]


def test_a_file_that_fails_in_between_is_copied_again(source: Unsteady, tmp_path: Path) -> None:
    remote = remote_version.find(source, "small", 3, AT_ONCE)
    manifest, content = remote.manifest(AT_ONCE)
    source.faults = [ConnectionResetError()] * (TRIES - 1)
    (tmp_path / "copy").mkdir()
    landing.land(remote, manifest, content, tmp_path / "copy", AT_ONCE, lambda _: None)
    artifact.read(tmp_path / "copy" / "small" / "3")


def killed(source: Unsteady, models: Path, moment: int) -> None:
    """Land the version, and be killed before the step with this number."""
    left = moment

    def hook(event: str, _arguments: object) -> None:
        nonlocal left
        if event in {"os.mkdir", "open", "os.rename", "os.rmdir", "os.remove"}:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    land(source, models)


@pytest.mark.parametrize("before", ["nothing", "other files"])
def test_a_kill_at_any_moment_leaves_whole_versions(source: Unsteady, tmp_path: Path, before: str) -> None:
    start = tmp_path / "start"
    start.mkdir()
    if before == "other files":
        shutil.copytree(source._folder / "small" / "3", start / "small" / "3")
        (start / "small" / "3" / "README.md").write_text("older")
    moments, done = 0, False
    while not done:
        models = tmp_path / str(moments)
        shutil.copytree(start, models)
        try:
            in_a_child(killed, source, models, moments)
            done = True
        except AssertionError:
            moments += 1
        landing.clean(models)
        for path in models.glob("small/*"):
            assert artifact.read(path).manifest.version == int(path.name)
        names = sorted(path.name for path in models.rglob("*") if path.is_dir())
        assert [name for name in names if name.startswith(".")] == []
        if before == "other files":
            assert "3" in names
    assert moments >= 12
    assert everything(models).keys() - everything(start).keys() == (
        set() if before == "other files" else {f"small/3/{name}" for name in (*artifact.REQUIRED, artifact.MANIFEST)}
    )


def with_small_disk(source: Unsteady, models: Path) -> None:
    """Fail to land the version, as no file may have more than a thousand bytes."""
    models.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(NotWritable, match=f"{models} cannot be written: File too large; free some space"):
        land(source, models)


def test_a_full_disk_leaves_nothing(source: Unsteady, tmp_path: Path) -> None:
    in_a_child(with_small_disk, source, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_nothing_is_copied_without_room_for_all(source: Unsteady, tmp_path: Path) -> None:
    remote = remote_version.find(source, "small", 3, AT_ONCE)
    manifest = artifact.read_manifest(source._folder / "small" / "3")
    vast = replace(remote, files={name: Entry(name, False, 2**60, "") for name in manifest.files})
    with pytest.raises(NotWritable, match=r"has .* free, and 3145728\.0 TiB are needed; free some space"):
        landing.land(vast, manifest, b"", tmp_path, AT_ONCE, lambda _: None)
    assert source.opened == []


def test_only_the_same_files_are_there(source: Unsteady, tmp_path: Path) -> None:
    land(source, tmp_path / "copy")
    folder = tmp_path / "copy" / "small" / "3"
    manifest, content = remote_version.find(source, "small", 3, AT_ONCE).manifest(AT_ONCE)
    assert landing.is_there(folder, manifest, content)
    assert not landing.is_there(folder, manifest, content + b" ")
    (folder / artifact.MODEL).write_bytes(b"x")
    assert not landing.is_there(folder, manifest, content)
    (folder / artifact.MODEL).unlink()
    assert not landing.is_there(folder, manifest, content)
    assert not landing.is_there(folder.with_name("9"), manifest, content)
