"""The page's examples of mlp-models work, in their order."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from service import artifact, refused
from service.models.__main__ import main
from service.models.commands import COMMANDS
from tests.documents.pages import ROOT, read
from tests.service.published import TABLE, publish

EXAMPLES = [
    shlex.split(line, comments=True)[1:] for line in re.findall(r"^mlp-models .*$", read("mlp-models"), re.MULTILINE)
]


def test_each_command_has_an_example() -> None:
    assert {command.name for command in COMMANDS} <= {example[0] for example in EXAMPLES}


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "models" / "fashion-mnist" / "1", tmp_path / "models" / "fashion-mnist" / "1")
    for version in (1, 2, 3):
        publish(tmp_path / "models", "flats", version, features=TABLE, seed=version)
    manifest, files = artifact.read_files(tmp_path / "models" / "flats" / "3")
    refused.keep(tmp_path / "models", "flats", lambda version: (replace(manifest, version=version), files))
    rows = "1,1.5,true,Italy,cook,ape\n2,1.7,,,nurse,bee\n"
    Path("flats.csv").write_text(",".join((*(feature.name for feature in TABLE), "animal")) + f"\n{rows}")
    shutil.copytree(tmp_path / "models" / "flats", tmp_path / "shared" / "models" / "flats")
    for example in EXAMPLES:
        assert main(example) == 0, (example, capsys.readouterr().err)
    assert artifact.versions(tmp_path / "models" / "flats") == [3, 4]
