"""Which DATA a kind accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.kind import DataKind
from training.data.source import KINDS


def kind(names: tuple[str, ...] = (), suffixes: tuple[str, ...] = (), *, folders: bool = False) -> DataKind:
    return DataKind("a kind", KINDS[0].load, names, suffixes, lambda _path: folders)


@pytest.mark.parametrize(
    ("candidate", "accepted", "rejected"),
    [
        (kind(names=("iris",)), "iris", "iris.csv"),
        (kind(suffixes=(".csv",)), "houses.CSV", "csv"),
        (kind(folders=True), "folder", "nowhere"),
        (kind(folders=True), "folder", "file"),
    ],
)
def test_kind_accepts_its_names_suffixes_or_folders(
    candidate: DataKind, accepted: str, rejected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    assert candidate.accepts(accepted)
    assert not candidate.accepts(rejected)
