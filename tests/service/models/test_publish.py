"""A version that was refused, or one of another models folder, is published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from service import artifact, refused
from tests.service.models.command_line import CommandLine
from tests.service.published import publish


def keep_refused(models: Path, elsewhere: Path) -> Path:
    """Keep a version of ``small`` as training does one that it does not publish."""
    publish(elsewhere, version=1)
    manifest, files = artifact.read_files(elsewhere / "small" / "1")
    return refused.keep(models, "small", lambda version: (replace(manifest, version=version), files))


def test_a_refused_version_becomes_the_next_one(mlp_models: CommandLine, tmp_path: Path) -> None:
    models = mlp_models.models
    kept = keep_refused(models, tmp_path / "elsewhere")
    ended = mlp_models("publish", str(kept))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == f"published small@4 as {models / 'small' / '4'}"
    assert artifact.versions(models / "small") == [1, 2, 3, 4]
    assert not kept.exists()


def test_a_version_of_another_folder_is_copied(mlp_models: CommandLine, tmp_path: Path) -> None:
    publish(tmp_path / "elsewhere", version=7)
    other = tmp_path / "elsewhere" / "small" / "7"
    ended = mlp_models("publish", str(other), "--models", str(mlp_models.models))
    assert ended.status == 0
    assert artifact.versions(mlp_models.models / "small") == [1, 2, 3, 4]
    assert other.exists()


def test_a_damaged_version_is_not_published(mlp_models: CommandLine, tmp_path: Path) -> None:
    kept = keep_refused(mlp_models.models, tmp_path / "elsewhere")
    (kept / artifact.MODEL).write_bytes(b"")
    ended = mlp_models("publish", str(kept))
    assert ended.status == 1
    assert "is not the file that was published" in ended.err
    assert artifact.versions(mlp_models.models / "small") == [1, 2, 3]
    assert mlp_models("publish", "nowhere").err == (
        "mlp-models: there is no folder 'nowhere'; give the folder of a version\n"
    )
