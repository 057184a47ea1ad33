"""Servers with a payload log: what they write, mlp-score reads with the same answers; a kill, a missing folder."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service import app, metrics
from service.errors import StartError
from service.settings import Settings
from tests.service.grpc.running_grpc import RunningGrpc
from tests.service.published import as_json, values_of
from tests.service.running import Running
from tests.service.scoring.scoring import FEATURES, Scoring, publish_table

COUNT = 60
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_table(folder)
    return folder


def rows_by_name() -> list[dict[str, Any]]:
    """Rows with values of each kind, some missing, some of them dates."""
    rows = [as_json(FEATURES[:-1], row) for row in values_of(FEATURES[:-1], COUNT, seed=5)]
    days = ("31/01/2020", "2021-03-04T05:06:07.123457", None, "01/02/1969")
    return [row | {"day": days[index % len(days)]} for index, row in enumerate(rows)]


def logged(folder: Path) -> list[dict[str, Any]]:
    """All lines of the complete files."""
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.jsonl")))
    return [json.loads(line) for line in text.splitlines()]


def floats(lines: Sequence[dict[str, Any]], prefix: str) -> np.ndarray[Any, Any]:
    """The probabilities in the columns that begin with ``prefix``, as the network gave them."""
    names = sorted(name for name in lines[0] if name.startswith(f"{prefix}probability_"))
    assert len(names) == 3
    return np.array([[line[name] for name in names] for line in lines]).astype(np.float32)


def test_what_is_logged_is_scored_with_the_same_answers(
    models_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rows = tmp_path / "payloads", rows_by_name()
    arguments = ("--payload-log", str(folder), "--payload-sample", "1")
    with RunningGrpc(models_folder, *arguments, workers=2) as server:
        with server.client() as client:
            headers = {"x-request-id": "many", "traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}
            answer = client.post("/predict", json=rows[: COUNT // 2], headers=headers)
            assert answer.status_code == 200
            assert client.post("/predict", json=[{"age": "?"}]).status_code == 422
        for row in rows[COUNT // 2 :]:
            with server.client() as client:  # a new connection, to any worker
                assert client.post("/predict", json=[row]).status_code == 200
        server.drain()
        assert server.exit_status() == 0
    assert not list(folder.glob("*.part"))
    lines = logged(folder)
    assert len(lines) == COUNT
    many = [line for line in lines if line["mlp_request_id"] == "many"]
    assert [line["mlp_row"] for line in many] == list(range(COUNT // 2))
    assert {(line["mlp_trace_id"], line["mlp_rows"]) for line in many} == {(TRACE, COUNT // 2)}
    assert [line["mlp_prediction"] for line in many] == answer.json()["predictions"]

    scoring = Scoring(models_folder, tmp_path, capsys)
    for number, path in enumerate(sorted(folder.glob("*.jsonl"))):
        out = tmp_path / f"scored-{number}.jsonl"
        ended = scoring("table", path, out, "--probabilities", "--prefix", "again_")
        assert ended.status == 0, ended
        scored = [json.loads(line) for line in out.read_text().splitlines()]
        assert [line["again_prediction"] for line in scored] == [line["mlp_prediction"] for line in scored]
        np.testing.assert_array_equal(floats(scored, "again_"), floats(scored, "mlp_"))


def test_after_a_kill_the_next_server_completes_the_files(models_folder: Path, tmp_path: Path) -> None:
    arguments = ("--payload-log", str(tmp_path), "--payload-sample", "1")
    row = rows_by_name()[0]
    with Running(models_folder, *arguments) as server, server.client() as client:
        assert client.post("/predict", json=[row], headers={"x-request-id": "first"}).status_code == 200
        while not any(path.stat().st_size for path in tmp_path.glob("*.part")):
            client.get("/health/live")
        server.process.send_signal(signal.SIGKILL)
        server.exit_status()
    (part,) = tmp_path.glob("*.part")
    with part.open("ab") as file:
        file.write(b'{"mlp_time":"2026-')
    with Running(models_folder, *arguments) as server:
        assert [line["mlp_request_id"] for line in logged(tmp_path)] == ["first"]
        assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_used_is_one_sentence(models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError) as caught:
        app.build(Settings(models=models_folder, payload_log=tmp_path / "file" / "log"), None, metrics.alone())
    assert str(caught.value) == (
        f"--payload-log (MLP_PAYLOAD_LOG) is '{tmp_path}/file/log': Not a directory; choose a folder that this user "
        "can write"
    )
