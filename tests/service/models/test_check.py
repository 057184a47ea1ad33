"""A version is proved as the server proves it."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from service import artifact
from tests.service.models.command_line import CommandLine
from tests.service.published import publish, rewrite
from tests.service.quantized import publish_int8
from tests.service.running import refused
from tests.service.trapped import replace

OK = r"OK       {}: cpu, fp32, \d+ µs a run and [\d.e-]+ µs a row, loaded in \d+\.\d\d s"


def test_good_versions(mlp_models: CommandLine) -> None:
    ended = mlp_models("check", "small", "small@1", str(mlp_models.models / "small" / "2"))
    assert (ended.status, ended.err) == (0, "")
    for line, name in zip(ended.out.splitlines(), ("small@3", "small@1", "small@2"), strict=True):
        assert re.fullmatch(OK.format(name), line)


def test_without_arguments_the_newest_of_each_model(mlp_models: CommandLine) -> None:
    publish(mlp_models.models, "large")
    (mlp_models.models / "small" / "1" / artifact.MODEL).unlink()  # not the newest
    ended = mlp_models("check", "--json")
    found = json.loads(ended.out)
    assert ended.status == 0
    assert [(each["version"], each["ok"], each["provider"]) for each in found] == [
        ("large@1", True, "cpu"),
        ("small@3", True, "cpu"),
    ]
    assert all(each["run_s"] > 0 and each["row_s"] > 0 and each["load_s"] > 0 for each in found)


def test_every_fault_is_reported(mlp_models: CommandLine) -> None:
    small = mlp_models.models / "small"
    replace(small / "1", artifact.MODEL, b"no graph")
    rewrite(small / "2", lambda manifest: manifest.update(format=99))
    ended = mlp_models("check", "small@1", "small@2", "small@3", "smal", "small@8")
    assert (ended.status, ended.err) == (1, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith(
        f"REFUSED  small@1: {small / '1'} is refused: the graph does not load: it is no ONNX file"
    )
    assert lines[1].startswith(f"REFUSED  small@2: {small / '2' / artifact.MANIFEST}: 'format' is 99, and this release")
    assert re.fullmatch(OK.format("small@3"), lines[2])
    assert lines[3] == f"REFUSED  smal: there is no model 'smal' in '{mlp_models.models}'; did you mean small?"
    assert lines[4] == "REFUSED  small@8: model 'small' has no version 8; there are: 1, 2, 3"
    assert [each["ok"] for each in json.loads(mlp_models("check", "small@1", "small", "--json").out)] == [False, True]


@pytest.mark.parametrize("fault", ["example", "golden", "answers"])
def test_it_refuses_what_the_server_refuses(mlp_models: CommandLine, fault: str) -> None:
    """The reasons are the same, word for word."""
    folder = mlp_models.models / "one" / "1"
    publish(mlp_models.models, "one")
    if fault == "example":
        replace(folder, artifact.EXAMPLE, b'{"inputs": [[1, 2]]}')
    elif fault == "golden":
        replace(folder, artifact.GOLDEN, b"none")
    else:
        replace(folder, artifact.MODEL, publish(mlp_models.models.parent / "elsewhere", seed=7).graph())
    shutil.rmtree(mlp_models.models / "small")
    ((document,), status) = json.loads((ended := mlp_models("check", "one", "--json")).out), ended.status
    assert (document["ok"], status) == (False, 1)
    assert document["reason"] in refused("--models", str(mlp_models.models))


def test_a_damaged_manifest(mlp_models: CommandLine) -> None:
    path = mlp_models.models / "small" / "3" / artifact.MANIFEST
    content = path.read_bytes()
    for damaged in (b"", b"[", b"{}", content[:100], b"\xff" + content, content.replace(b"numeric", b"number")):
        path.write_bytes(damaged)
        assert mlp_models("check", "small").out.startswith(f"REFUSED  small@3: {path}")
        assert "small@3 is refused" in mlp_models("list").out


def test_a_withdrawn_version(mlp_models: CommandLine) -> None:
    """It is proved where it is, and the reasons name its hidden folder."""
    publish_int8(mlp_models.models, "fast")
    publish(mlp_models.models, "fast", 2)
    mlp_models("rollback", "fast")
    mlp_models("rollback", "small")
    assert mlp_models("check", "small@3").out.startswith("OK       small@3 (withdrawn): cpu, fp32")
    (mlp_models.models / "fast" / "1").rename(mlp_models.models / "fast" / ".withdrawn-1")
    assert "OK       fast@1 (withdrawn): cpu, int8" in mlp_models("check", "fast@1").out
    hidden = mlp_models.models / "small" / ".withdrawn-3"
    replace(hidden, artifact.MODEL, b"no graph")
    assert f"REFUSED  small@3 (withdrawn): {hidden} is refused: the graph" in mlp_models("check", "small@3").out
    (hidden / artifact.MODEL).unlink()
    assert f"{hidden / artifact.MODEL} cannot be read" in mlp_models("check", str(hidden)).out


def test_the_precision_of_the_server(mlp_models: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "was published without int8" in mlp_models("check", "small", "--precision", "int8").out
    monkeypatch.setenv("MLP_PRECISION", "int8")
    assert mlp_models("check", "small").status == 1
    assert mlp_models("check", "small", "--precision", "auto").status == 0
