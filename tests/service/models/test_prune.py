"""Old versions are deleted, the serving one never."""

from __future__ import annotations

import shutil

import pytest

from service import artifact, artifact_writer
from tests.service.models.command_line import CommandLine
from tests.service.published import publish
from tests.service.test_artifact_writer import republished


def live(mlp_models: CommandLine, name: str = "small") -> list[int]:
    return artifact.versions(mlp_models.models / name)


def test_the_newest_are_kept(mlp_models: CommandLine) -> None:
    folder = mlp_models.models / "small"
    ended = mlp_models("prune", "small", "--keep", "2")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0].startswith(f"deleted {folder / '1'} (")
    assert ended.out.splitlines()[1] == "small: 1 deleted, kept 2, 3 (serving)"
    assert live(mlp_models) == [2, 3]
    assert mlp_models("prune", "small", "--keep", "2").out == "small: 0 deleted, kept 2, 3 (serving)\n"


def test_a_dry_run_changes_nothing(mlp_models: CommandLine) -> None:
    before = sorted(mlp_models.models.rglob("*"))
    lines = mlp_models("prune", "small", "--keep", "1", "--dry-run").out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        f"would delete {mlp_models.models / 'small' / '1'}",
        f"would delete {mlp_models.models / 'small' / '2'}",
        "small: 2 to delete, to keep 3",
    ]
    assert sorted(mlp_models.models.rglob("*")) == before


def test_the_serving_version_stays_also_if_newer_ones_are_refused(mlp_models: CommandLine) -> None:
    for version in ("2", "3"):
        (mlp_models.models / "small" / version / artifact.MODEL).unlink()
    publish(mlp_models.models, "small", 4)
    (mlp_models.models / "small" / "4" / artifact.MANIFEST).unlink()
    assert mlp_models("prune", "small", "--keep", "1").out.splitlines()[-1] == "small: 2 deleted, kept 1 (serving), 4"
    (mlp_models.models / "small" / "1" / artifact.MODEL).unlink()
    assert mlp_models.fails("prune", "small", "--keep", "1") == (
        "no version of small would be served, so none of them is deleted; see: mlp-models list small"
    )


def test_withdrawn_versions_go_on_request(mlp_models: CommandLine) -> None:
    mlp_models("rollback", "small")
    folder = mlp_models.models / "small"
    assert mlp_models("prune", "small", "--keep", "1").out.splitlines()[-1] == "small: 1 deleted, kept 2 (serving)"
    assert artifact.withdrawn_versions(folder) == [3]
    assert mlp_models("prune", "small", "--keep", "1", "--withdrawn").status == 0
    assert artifact.withdrawn_versions(folder) == []
    make = republished(folder / "2", "small")
    assert artifact_writer.publish(mlp_models.models, "small", make).name == "4"


def test_several_models(mlp_models: CommandLine) -> None:
    shutil.copytree(mlp_models.models / "small", mlp_models.models / "broken")
    for version in (1, 2):
        publish(mlp_models.models, "large", version)
    ended = mlp_models("prune", "--all", "--keep", "1")
    assert (live(mlp_models), live(mlp_models, "large"), live(mlp_models, "broken")) == ([3], [2], [1, 2, 3])
    assert ended.status == 1
    assert ended.err.startswith("mlp-models: no version of broken would be served")


def test_what_a_killed_prune_left_is_removed(mlp_models: CommandLine) -> None:
    shutil.copytree(mlp_models.models / "small" / "1", mlp_models.models / "small" / ".deleting-9")
    mlp_models("prune", "small", "--keep", "3")
    assert not (mlp_models.models / "small" / ".deleting-9").exists()


def test_names_or_all(mlp_models: CommandLine) -> None:
    for arguments in ((), ("small", "--all")):
        assert mlp_models.fails("prune", *arguments, "--keep", "1") == (
            "name the models to prune, or use --all for all of them, not both"
        )
    assert "did you mean small?" in mlp_models.fails("prune", "smal", "--keep", "1")
    assert "a name has 1 to 128 letters" in mlp_models.fails("prune", "../models/small", "--keep", "1")


@pytest.mark.parametrize("keep", ["0", "-1", "x", "1.5", ""])
def test_at_least_one_is_kept(mlp_models: CommandLine, keep: str) -> None:
    ended = mlp_models("prune", "small", f"--keep={keep}")
    assert (ended.status, ended.out) == (2, "")
    assert f"{keep!r} is no positive integer; the newest version always stays" in ended.err
    assert live(mlp_models) == [1, 2, 3]
