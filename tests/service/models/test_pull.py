"""The command line of mlp-models pull: its status, its lines, its options."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service import artifact
from service.models.pulling.local_source import LocalSource
from tests.service.models.command_line import CommandLine


@pytest.fixture
def source(mlp_models: CommandLine, tmp_path: Path) -> Path:
    """A source with versions 1, 2 and 3 of ``small``; the models folder of ``mlp_models`` is empty."""
    source, mlp_models.models = mlp_models.models, tmp_path / "copy"
    return source


def test_it_says_what_it_did(mlp_models: CommandLine, source: Path) -> None:
    ended = mlp_models("pull", str(source))
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.split(" in ")[0] for line in lines[:2]] == [
        "pulled small@3: 4 files, 3.8 KiB",
        "pulled small@2: 4 files, 3.8 KiB",
    ]
    assert lines[2] == "2 pulled, 0 already there, 0 refused, 0 deleted"
    assert lines[3].startswith("Running servers serve what is newer within")
    assert mlp_models("pull", f"file://{source}").out == "0 pulled, 2 already there, 0 refused, 0 deleted\n"


def test_a_refused_version_is_no_error_if_another_one_is_good(mlp_models: CommandLine, source: Path) -> None:
    (source / "small" / "3" / artifact.MODEL).write_bytes(b"spoiled")
    ended = mlp_models("pull", str(source), "--newest", "1")
    assert ended.status == 0
    assert artifact.versions(mlp_models.models / "small") == [2]
    for version in ("1", "2"):
        (source / "small" / version / artifact.MODEL).unlink()
    ended = mlp_models("pull", str(source), "--name", "small@1")
    assert (ended.status, ended.out) == (1, "0 pulled, 0 already there, 1 refused, 0 deleted\n")
    assert ended.err.endswith(f"mlp-models: no good version of small in {source}\n")


def test_a_pinned_version_comes_on_top(mlp_models: CommandLine, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_MODEL_VERSIONS", "small@1")
    assert mlp_models("pull", str(source), "--newest", "1").status == 0
    assert artifact.versions(mlp_models.models / "small") == [1, 3]


def test_shadows_stay_when_others_are_deleted(
    mlp_models: CommandLine, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLP_SHADOW", "small@2")
    shutil.copytree(source, mlp_models.models)
    assert mlp_models("pull", str(source), "--newest", "1", "--prune").status == 0
    assert artifact.versions(mlp_models.models / "small") == [2, 3]


def test_what_cannot_be_pulled(mlp_models: CommandLine, source: Path) -> None:
    assert mlp_models("pull", str(source / "nowhere")).err == (
        f"mlp-models: {source}/nowhere does not exist; check the name\n"
    )
    assert mlp_models("pull", str(source / "small")).err == (
        f"mlp-models: {source}/small has no model; it holds versions: give the folder above it\n"
    )
    message = mlp_models("pull", f"{mlp_models.models}/../copy").err
    assert (
        message
        == f"mlp-models: '{mlp_models.models}/../copy' is the models folder itself; give another one with --models\n"
    )
    message = mlp_models("pull", str(source), "--name", "small", "--name", "small@2").err
    assert message == "mlp-models: --name names small twice; give one version, or --newest for several\n"
    assert "a name has 1 to 128 letters" in mlp_models("pull", str(source), "--name", "../small").err


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--newest=0", "'0' is no positive integer"),
        ("--interval-s=0.5", "'0.5' is no number of seconds from 1 to 86,400"),
        ("--interval-s=nan", "'nan' is no number of seconds from 1 to 86,400"),
        ("--interval-s=soon", "'soon' is no number of seconds from 1 to 86,400"),
    ],
)
def test_options_out_of_bounds(mlp_models: CommandLine, source: Path, option: str, reason: str) -> None:
    ended = mlp_models("pull", str(source), option)
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err


def test_ctrl_c_leaves_nothing(mlp_models: CommandLine, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = LocalSource.open

    def interrupted(self: LocalSource, *parts: str) -> object:
        if parts[-1] == artifact.GOLDEN:
            raise KeyboardInterrupt
        return opened(self, *parts)

    monkeypatch.setattr(LocalSource, "open", interrupted)
    assert mlp_models("pull", str(source)).status == 130
    assert [path.name for path in mlp_models.models.iterdir()] == [".lock"]
