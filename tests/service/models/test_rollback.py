"""The newest version is withdrawn and brought back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from service import artifact, artifact_writer
from service.models.prover import Prover
from tests.service.models.command_line import CommandLine, ended, start
from tests.service.published import publish
from tests.service.running import Running
from tests.service.test_artifact_writer import republished


def live(mlp_models: CommandLine) -> list[int]:
    return artifact.versions(mlp_models.models / "small")


def spoil(version_dir: Path) -> None:
    (version_dir / artifact.MODEL).write_bytes(b"")


def test_back_and_forth(mlp_models: CommandLine) -> None:
    folder = mlp_models.models / "small"
    back = mlp_models("rollback", "small")
    assert (back.status, back.err) == (0, "")
    assert back.out.splitlines() == [
        f"withdrew small@3; its files are in {folder / '.withdrawn-3'}",
        "Running servers serve small@2 within their --reload-interval-s (default 5 s; with 0 when they restart).",
        "Requests in flight finish on the version that they began with.",
        "To undo this: mlp-models restore small 3",
    ]
    assert live(mlp_models) == [1, 2]
    forth = mlp_models("restore", "small")
    assert (forth.status, forth.err) == (0, "")
    assert forth.out.splitlines() == [
        f"restored small@3 as {folder / '3'}",
        "Running servers serve it within their --reload-interval-s (default 5 s; with 0 when they restart).",
    ]
    assert live(mlp_models) == [1, 2, 3]


def test_a_server_serves_the_version_before(mlp_models: CommandLine) -> None:
    mlp_models("rollback", "small")
    with Running(mlp_models.models) as server:
        document = httpx.post(f"{server.address}/predict", json={"inputs": [[0.5, 0.5, 0.5, 0.5]]}).json()
        assert document["version"] == 2
        assert httpx.get(f"{server.address}/models/small").json()["version"] == 2
        for number in ("3", ".withdrawn-3"):
            assert httpx.get(f"{server.address}/models/small/versions/{number}").status_code == 404


def test_repeated_until_one_is_left(mlp_models: CommandLine) -> None:
    assert mlp_models("rollback", "small").status == 0
    assert mlp_models("rollback", "small").status == 0
    assert live(mlp_models) == [1]
    assert mlp_models.fails("rollback", "small") == (
        "small has only version 1, and without it nothing would be served; publish a better version, or delete "
        f"{mlp_models.models / 'small'} to stop serving small"
    )
    assert mlp_models.fails("rollback", "small", "--force").startswith("small has only version 1")
    assert mlp_models.fails("restore", "small") == (
        "small has several withdrawn versions: 2, 3; say which: mlp-models restore small 2"
    )
    assert mlp_models("restore", "small", "3").status == 0
    assert mlp_models("restore", "small").status == 0
    assert live(mlp_models) == [1, 2, 3]


def test_only_the_version_that_was_meant(mlp_models: CommandLine) -> None:
    assert mlp_models.fails("rollback", "small@2") == (
        "the newest version of small is 3, not 2; nothing was changed. To withdraw 3: mlp-models rollback small@3"
    )
    assert mlp_models("rollback", "small@3").status == 0
    assert "the newest version of small is 2, not 3" in mlp_models.fails("rollback", "small@3")


def test_after_a_newer_publication(mlp_models: CommandLine) -> None:
    mlp_models("rollback", "small")
    folder = mlp_models.models / "small"
    make = republished(folder / "2", "small")
    assert artifact_writer.publish(mlp_models.models, "small", make) == folder / "4"
    restored = mlp_models("restore", "small")
    assert restored.out.splitlines()[1] == (
        "Servers go on with small@4, which is newer. To withdraw that: mlp-models rollback small"
    )
    assert live(mlp_models) == [1, 2, 3, 4]
    assert "Running servers serve small@3" in mlp_models("rollback", "small").out


def test_a_publication_in_between(mlp_models: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is published while the older one is proved stays."""
    make = republished(mlp_models.models / "small" / "2", "small")
    prove = Prover.reason_against

    def publish_and_prove(prover: Prover, version_dir: Path) -> str | None:
        artifact_writer.publish(mlp_models.models, "small", make)
        return prove(prover, version_dir)

    monkeypatch.setattr(Prover, "reason_against", publish_and_prove)
    assert "small@4 was published meanwhile" in mlp_models("rollback", "small").out
    assert live(mlp_models) == [1, 2, 4]


def test_an_older_version_that_would_be_refused(mlp_models: CommandLine) -> None:
    folder = mlp_models.models / "small"
    spoil(folder / "2")
    message = mlp_models.fails("rollback", "small")
    assert message.startswith(f"small@2, which would take over, would be refused: {folder / '2' / artifact.MODEL}")
    assert message.endswith("small@3 stays. Repair that version, or withdraw this one in any case with --force")
    forced = mlp_models("rollback", "small", "--force")
    assert forced.status == 0
    assert "Running servers serve small@1 within" in forced.out
    assert live(mlp_models) == [1, 2]


def test_no_older_version_would_be_served(mlp_models: CommandLine) -> None:
    for version in ("1", "2"):
        spoil(mlp_models.models / "small" / version)
    forced = mlp_models("rollback", "small", "--force")
    assert forced.status == 0
    assert "No other version of small would be served." in forced.out


def test_a_broken_newest_version_is_withdrawn(mlp_models: CommandLine) -> None:
    spoil(mlp_models.models / "small" / "3")
    assert mlp_models("rollback", "small").status == 0
    message = mlp_models.fails("restore", "small")
    assert message.startswith(
        f"small@3 would be refused: {mlp_models.models / 'small' / '.withdrawn-3' / artifact.MODEL}"
    )
    assert message.endswith("it stays withdrawn. Restore it in any case with --force")
    assert "A server would refuse it" in mlp_models("restore", "small", "--force").out
    assert live(mlp_models) == [1, 2, 3]


def test_what_cannot_be_restored(mlp_models: CommandLine) -> None:
    assert mlp_models.fails("restore", "small") == "small has no withdrawn version; see: mlp-models list small"
    mlp_models("rollback", "small")
    assert mlp_models.fails("restore", "small", "2") == "small@2 is not withdrawn; withdrawn are: 3"
    assert "version 'x' is no positive integer" in mlp_models.fails("restore", "small", "x")
    publish(mlp_models.models, "small", 3)
    folder = mlp_models.models / "small"
    assert mlp_models.fails("restore", "small") == f"{folder / '3'} exists already; move it out of the models folder"


def test_a_name_is_no_path(mlp_models: CommandLine) -> None:
    for name in ("../models/small", str(mlp_models.models / "small"), "..", "small/3"):
        for command in ("rollback", "restore"):
            assert mlp_models.fails(command, name).startswith(f"model name {name!r}: a name has 1 to 128 letters")


def test_of_several_at_once_one_succeeds(mlp_models: CommandLine) -> None:
    arguments = ("rollback", "small@3", "--models", str(mlp_models.models))
    started = [start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    assert sorted(ended(process).status for process in started) == [0, 1, 1]
    assert live(mlp_models) == [1, 2]


def test_a_model_that_is_a_link(mlp_models: CommandLine, tmp_path: Path) -> None:
    shutil.move(mlp_models.models / "small", tmp_path / "models" / ".data")
    (mlp_models.models / "small").symlink_to(".data")
    assert mlp_models("rollback", "small").status == 0
    assert live(mlp_models) == [1, 2]
