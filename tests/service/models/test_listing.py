"""The table of versions."""

from __future__ import annotations

import json
import re
import shutil

from service import artifact
from tests.service.models.command_line import CommandLine
from tests.service.published import TABLE, publish, rewrite


def states(mlp_models: CommandLine, *names: str) -> dict[str, str]:
    ended = mlp_models("list", *names, "--json")
    assert (ended.status, ended.err) == (0, "")
    return {f"{each['model']}@{each['version']}": each["state"] for each in json.loads(ended.out)["versions"]}


def test_the_newest_good_version_is_serving(mlp_models: CommandLine) -> None:
    assert states(mlp_models) == {"small@3": "serving", "small@2": "available", "small@1": "available"}


def test_a_broken_version_is_refused_with_its_reason(mlp_models: CommandLine) -> None:
    path = mlp_models.models / "small" / "3" / artifact.MODEL
    path.write_bytes(b"")
    (mlp_models.models / "small" / "1" / artifact.MANIFEST).unlink()
    assert states(mlp_models) == {"small@3": "refused", "small@2": "serving", "small@1": "refused"}
    lines = mlp_models("list").out.splitlines()
    assert lines[-2].startswith(f"small@3 is refused: {path} (0 bytes) is not the file that was published")
    assert lines[-1].startswith("small@1 is refused: ")
    assert lines[-1].endswith("metadata.json cannot be read: No such file or directory; publish the model again")


def test_withdrawn_versions_come_last(mlp_models: CommandLine) -> None:
    mlp_models("rollback", "small")
    assert states(mlp_models) == {"small@2": "serving", "small@1": "available", "small@3": "withdrawn"}


def test_the_table(mlp_models: CommandLine) -> None:
    publish(mlp_models.models, "house", features=TABLE, targets=("price", "rent"))
    rewrite(
        mlp_models.models / "house" / "1", lambda manifest: manifest.update(scores={"fp32": {"r2": 0.91234, "mae": 3}})
    )
    size = sum(path.stat().st_size for path in (mlp_models.models / "house" / "1").iterdir())
    lines = mlp_models("list").out.splitlines()
    assert lines[0].split() == ["model", "version", "state", "created", "size", "task", "features", "scores"]
    assert re.split(r"\s{2,}", lines[1]) == [
        *("house", "1", "serving", "2026-01-01 00:00", f"{size / 1024:.1f} KiB", "regression of price, rent", "5"),
        "fp32: r2 0.9123, mae 3",
    ]
    assert "classification, 3 labels" in lines[2]
    assert len({line.index("state") for line in lines[:1]} | {line.index("serving") for line in lines[1:3]}) == 1


def test_one_model(mlp_models: CommandLine) -> None:
    publish(mlp_models.models, "large")
    assert states(mlp_models, "large") == {"large@1": "serving"}
    assert mlp_models.fails("list", "larg").endswith("did you mean large?")


def test_one_bad_model_does_not_hide_the_others(mlp_models: CommandLine) -> None:
    shutil.copytree(mlp_models.models / "small", mlp_models.models / "bad")
    (mlp_models.models / "bad" / "v2").mkdir()
    ended = mlp_models("list")
    assert ended.status == 0
    assert "small        3  serving" in ended.out
    assert "a version folder is named by a positive integer such as '1', not 'v2'" in ended.out


def test_control_characters_do_not_reach_the_terminal(mlp_models: CommandLine) -> None:
    rewrite(mlp_models.models / "small" / "3", lambda manifest: manifest.update(created="\x1b[2J\n2026"))
    out = mlp_models("list").out
    assert "\x1b" not in out
    assert "?[2J?2026" in out


def test_an_empty_folder_and_none(mlp_models: CommandLine) -> None:
    shutil.rmtree(mlp_models.models / "small")
    assert mlp_models.fails("list") == (
        f"models folder '{mlp_models.models}' is empty; publish a model with: make train"
    )
    mlp_models.models.rmdir()
    assert mlp_models.fails("list") == f"models folder '{mlp_models.models}' cannot be read: No such file or directory"
