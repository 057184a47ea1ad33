"""URLs, with fsspec's file system in memory."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.models.command import CommandError
from service.models.pulling.local_source import LocalSource
from service.models.pulling.locate import locate
from service.models.pulling.url_source import UrlSource
from tests.service.models.command_line import CommandLine

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(versions: Path) -> Iterator[Any]:
    """A file system in memory with the versions of ``small`` in ``/bucket/models``."""
    system = fsspec.filesystem("memory")
    for path in versions.rglob("*"):
        if path.is_file():
            system.pipe_file(f"/bucket/models/{path.relative_to(versions)}", path.read_bytes())
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_url_is_pulled_as_a_folder_is(bucket: Any, versions: Path, mlp_models: CommandLine, tmp_path: Path) -> None:
    mlp_models.models = tmp_path / "copy"
    assert mlp_models("pull", "memory://bucket/models", "--newest", "9").status == 0
    copied = {path.relative_to(mlp_models.models): path for path in mlp_models.models.glob("*/*/*")}
    assert {name: path.read_bytes() for name, path in copied.items()} == {
        path.relative_to(versions): path.read_bytes() for path in versions.glob("*/*/*")
    }
    bucket.pipe_file("/bucket/models/small/3/example.json", b"{}")
    bucket.rm("/bucket/models/small/1", recursive=True)
    assert mlp_models("pull", "memory://bucket/models").out.startswith("0 pulled, 2 already there")


@pytest.mark.usefixtures("bucket")
def test_what_is_not_there(mlp_models: CommandLine) -> None:
    assert mlp_models.fails("pull", "memory://bucket/nowhere") == (
        "memory://bucket/nowhere does not exist; check the name"
    )
    assert mlp_models.fails("pull", "memory://bucket/models/small") == (
        "memory://bucket/models/small has no model; it holds versions: give the folder above it"
    )


class Store:
    """A store that lists markers of folders, hidden names and sizes that are missing, and keeps its listings."""

    def __init__(self) -> None:
        self.forgotten = 0

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:
        assert detail
        return [
            {"name": f"{path}/", "size": 0, "type": "file"},
            {"name": f"{path}/small", "size": 0, "type": "directory"},
            {"name": f"{path}/.withdrawn-1", "size": 0, "type": "directory"},
            {"name": f"{path}/odd", "size": None, "type": "other", "ETag": '"a"'},
        ]

    def invalidate_cache(self) -> None:
        self.forgotten += 1


def test_what_stores_list_beside_files() -> None:
    store = Store()
    source = UrlSource(store, "s3", "bucket/models")
    source.refresh()
    assert [(each.name, each.is_folder, each.size_bytes) for each in source.entries()] == [
        ("odd", False, 0),
        ("small", True, 0),
    ]
    assert store.forgotten == 1


def test_files_and_folders_need_no_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_fsspec(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "fsspec":
            raise ModuleNotFoundError("No module named 'fsspec'", name="fsspec")
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_fsspec)
    for text in (str(tmp_path), f"file://{tmp_path}"):
        found = locate(text, tmp_path / "models")
        assert isinstance(found, LocalSource)
        assert found.shown == str(tmp_path)
    with pytest.raises(CommandError) as raised:
        locate("s3://key:secret@bucket/models", tmp_path)
    assert str(raised.value) == (
        "s3://bucket/models needs a package that is not installed (No module named 'fsspec'); "
        "install mlp-serving[remote]"
    )
