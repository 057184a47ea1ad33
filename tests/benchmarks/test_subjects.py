"""The compared servers are known, and a wrong prediction is an error."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from benchmarks import subjects
from benchmarks.comparisons import COMPARISONS, NGINX
from benchmarks.provenance import MODEL
from benchmarks.servers import HERE
from benchmarks.subjects import CHECKED_ROWS, Subjects
from benchmarks.targets import BARE, BEFORE, NAMED, OURS

SUBJECTS = Subjects(MODEL, Path(), None, {})


def answer(classes: list[int]) -> bytes:
    return orjson.dumps({"classes": classes})


def test_each_compared_server_is_known() -> None:
    compared = {side.server for each in COMPARISONS for side in each[:2]}
    assert compared == {*subjects._OURS, *subjects._PEERS, *subjects._OWN_MODEL, BEFORE, NAMED, NGINX}


def test_each_peer_has_a_script_that_is_run() -> None:
    scripts = [each[0] for each in (*subjects._PEERS.values(), *subjects._OWN_MODEL.values())]
    assert [name for name in scripts if not (HERE / "peers" / name).is_file()] == []


@pytest.mark.parametrize(("name", "graph"), [(OURS, "model.int8.onnx"), ("FastAPI + torch", "model.onnx")])
def test_classes_must_be_those_of_the_graph(name: str, graph: str) -> None:
    right = subjects.predicted(MODEL / graph)
    assert len(right) == CHECKED_ROWS
    SUBJECTS.check(name, "json", answer(right))
    with pytest.raises(AssertionError, match="responds to json with classes"):
        SUBJECTS.check(name, "json", answer([(right[0] + 1) % 10, *right[1:]]))


def test_models_of_the_table_must_answer_each_row() -> None:
    SUBJECTS.check(NAMED, "named", answer([0] * CHECKED_ROWS))
    with pytest.raises(AssertionError, match="responds with 1 classes, expected 32"):
        SUBJECTS.check(NAMED, "named", answer([0]))


def test_constants_are_not_predictions() -> None:
    SUBJECTS.check(BARE, "json", b"ok")
