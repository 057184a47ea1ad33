"""Which versions are copied, refused once, kept and deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service import artifact, withdrawal
from service.inference.selection import Selection
from service.manifest import ArtifactError
from service.models.command import CommandError
from service.models.pulling.retries import SourceAway
from tests.service.models.pulling.conftest import Pulled
from tests.service.models.pulling.sources import TRIES, Unsteady
from tests.service.published import publish, rewrite

Make = Callable[..., Pulled]


def spoil(source: Unsteady, version: int) -> None:
    (source._folder / "small" / str(version) / artifact.MODEL).write_bytes(b"spoiled")


def repair(source: Unsteady, version: int) -> None:
    shutil.rmtree(source._folder / "small" / str(version))
    publish(source._folder, "small", version, seed=version)


def test_the_newest_are_copied_once(source: Unsteady, pulled: Make) -> None:
    copy = pulled()
    assert copy.look() == (2, 0, 0, 0)
    assert copy.versions == ["2", "3"]
    assert [line.split(":")[0] for line in copy.lines] == ["pulled small@3", "pulled small@2"]
    source.opened.clear()
    assert copy.look() == (0, 2, 0, 0)
    assert source.opened == []
    assert pulled().look() == (0, 2, 0, 0)  # another process compares the manifests
    assert set(source.opened) == {"small/3/metadata.json", "small/2/metadata.json"}


def test_a_spoiled_version_is_said_and_read_once_until_it_changes(source: Unsteady, pulled: Make) -> None:
    spoil(source, 3)
    copy = pulled(newest=1)
    assert copy.look() == (1, 0, 1, 0)
    assert copy.versions == ["2"]  # the next older one
    source.opened.clear()
    for _ in range(3):
        assert copy.look() == (0, 1, 1, 0)
    assert source.opened == []
    (warning,) = copy.warnings
    assert warning.startswith("refused small@3: ")
    assert "is not the file that was published" in warning
    repair(source, 3)
    assert copy.look() == (1, 0, 0, 0)
    assert copy.versions == ["2", "3"]


def test_a_version_that_is_still_being_uploaded(source: Unsteady, pulled: Make) -> None:
    manifest = source._folder / "small" / "3" / artifact.MANIFEST
    content = manifest.read_bytes()
    manifest.unlink()
    copy = pulled(newest=1)
    assert copy.look() == (1, 0, 1, 0)
    manifest.write_bytes(content)
    assert copy.look() == (1, 0, 0, 0)
    assert len(copy.warnings) == 1


def test_changed_and_damaged_versions_are_copied_again(source: Unsteady, pulled: Make) -> None:
    copy = pulled()
    copy.look()
    shutil.rmtree(source._folder / "small" / "3")
    publish(source._folder, "small", 3, seed=9)
    assert copy.look() == (1, 1, 0, 0)
    assert artifact.read(copy.models / "small" / "3") == artifact.read(source._folder / "small" / "3")
    (copy.models / "small" / "2" / artifact.MODEL).write_bytes(b"damaged")
    assert pulled().look() == (1, 1, 0, 0)
    assert artifact.read(copy.models / "small" / "2") == artifact.read(source._folder / "small" / "2")


def test_pins_and_shadows_are_copied_too(pulled: Make) -> None:
    copy = pulled(newest=1, selection=Selection(pins={"small": 1}, candidates={"small": 2}), prune=True)
    assert copy.look() == (3, 0, 0, 0)
    alone = pulled({"small": 1}, prune=True)
    assert alone.look() == (0, 1, 0, 2)
    assert alone.versions == ["1"]


def test_prune_deletes_what_is_old_or_gone(source: Unsteady, pulled: Make) -> None:
    pulled(newest=3).look()
    copy = pulled(newest=2, prune=True)
    assert copy.look() == (0, 2, 0, 1)
    assert copy.versions == ["2", "3"]
    (source._folder / "small" / "3").rename(source._folder / "small" / ".withdrawn-3")
    assert copy.look() == (1, 1, 0, 1)
    assert copy.versions == ["1", "2"]


def test_prune_deletes_nothing_if_no_other_would_be_served(source: Unsteady, pulled: Make) -> None:
    pulled({"small": 2}).look()
    trained = source._folder / "small" / "3"
    (trained / artifact.GOLDEN).write_bytes((source._folder / "small" / "1" / artifact.GOLDEN).read_bytes())
    digest = artifact.sha256((trained / artifact.GOLDEN).read_bytes())
    rewrite(trained, lambda document: document["files"].update({artifact.GOLDEN: digest}))
    copy = pulled(newest=1, prune=True)
    for _ in range(2):
        copy.look()
        assert copy.versions == ["2", "3"]
    assert copy.warnings == ["small: 2 would be deleted, and stays: no other would be served"]


def test_a_refused_version_of_the_source_stays_here(source: Unsteady, pulled: Make) -> None:
    copy = pulled(prune=True)
    copy.look()
    shutil.rmtree(source._folder / "small" / "3")
    publish(source._folder, "small", 3, seed=77)
    spoil(source, 3)
    assert copy.look() == (1, 1, 1, 0)
    assert copy.versions == ["1", "2", "3"]


def test_a_model_that_is_gone_stays_here(source: Unsteady, pulled: Make) -> None:
    publish(source._folder, "other")
    copy = pulled(prune=True)
    copy.look()
    shutil.rmtree(source._folder / "small")
    assert copy.look() == (0, 1, 0, 0)
    assert copy.versions == ["2", "3"]


def test_what_was_withdrawn_here_does_not_come_back(pulled: Make) -> None:
    copy = pulled()
    copy.look()
    withdrawal.withdraw(copy.models / "small", 3)
    for _ in range(2):
        copy.look()
    assert copy.versions == ["1", "2"]
    (warning,) = copy.warnings
    assert warning.startswith("small@3 is not copied again: it was withdrawn, and is in ")


def test_names_of_models_that_are_none(source: Unsteady, pulled: Make) -> None:
    (source._folder / "bad name").mkdir()
    (source._folder / "small" / "latest").mkdir()
    (source._folder / "notes.txt").write_text("")
    copy = pulled({"smal": None})
    outcome = copy.mirror.look()
    assert outcome.empty == ["smal"]
    assert [warning.split(":")[0] for warning in copy.warnings] == [
        f"left out of {source.shown}",
        f"{source.shown} has no model 'smal'; did you mean small?",
    ]
    assert pulled().look() == (2, 0, 0, 0)


def test_a_model_without_versions_is_none_unless_it_is_named(source: Unsteady, pulled: Make) -> None:
    (source._folder / "new").mkdir()
    assert pulled().mirror.look().empty == []
    assert pulled({"new": None}).mirror.look().empty == ["new"]
    spoil(source, 1)
    assert pulled({"small": 1}).mirror.look().empty == ["small"]


def test_a_source_that_is_away_changes_nothing(source: Unsteady, pulled: Make) -> None:
    copy = pulled(prune=True)
    copy.look()
    source.faults = [TimeoutError()] * TRIES
    with pytest.raises(SourceAway):
        copy.look()
    assert copy.look() == (0, 2, 0, 0)
    source.listed = lambda _: []
    with pytest.raises(CommandError, match="has no model; publish one"):
        copy.look()
    assert copy.versions == ["2", "3"]


def test_one_version_that_cannot_be_read_now_does_not_stop_the_others(source: Unsteady, pulled: Make) -> None:
    copy = pulled()
    lists = source.listed

    def then_fail(entries: list[object]) -> list[object]:
        if any(entry.name == artifact.MODEL for entry in entries):  # type: ignore[attr-defined]
            source.faults, source.listed = [TimeoutError()] * TRIES, lists
        return entries

    source.listed = then_fail  # type: ignore[assignment]
    assert copy.look() == (2, 0, 0, 0)  # 2 and 1, as 3 is away
    assert copy.versions == ["1", "2"]
    assert copy.look() == (1, 1, 0, 0)


def test_two_at_once(pulled: Make) -> None:
    copy = pulled()
    copy.look()
    with withdrawal.locked(copy.models), pytest.raises(ArtifactError, match="another command is changing"):
        copy.look()


def test_a_folder_that_cannot_be_made(source: Unsteady, pulled: Make, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("")
    with pytest.raises(ArtifactError, match="copy cannot be made: File exists; give another folder with --models"):
        pulled().look()
    assert source.opened == []
