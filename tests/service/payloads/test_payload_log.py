"""Which requests are chosen, their lines, and that a slow or full disk costs payloads alone."""

from __future__ import annotations

import errno
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from service import artifact
from service.errors import Fault, InvalidInput
from service.http.transport.request_ids import RequestIds
from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.manifest import Feature, Manifest
from service.payloads.files import PayloadFiles
from service.payloads.lines import MOST_BYTES, MOST_VALUES
from service.payloads.payload_log import PayloadLog
from service.requests import RequestRecord
from tests.service.published import TABLE, publish

PATIENCE_S = 60.0
CLASSES = ("ape", "bee", "cat")


class Files(PayloadFiles):
    """Keeps what it is given. While it is ``held``, a write waits; ``faults`` are raised by the next ones."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 2**24)
        self.began = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self.faults: list[Exception] = []

    def write(self, text: bytes) -> None:
        self.began.set()
        assert self.released.wait(PATIENCE_S)
        if self.faults:
            raise self.faults.pop()
        super().write(text)


class Logged:
    """A payload log, its files, and the drops it counted."""

    def __init__(self, folder: Path, model: Model, share: float = 1.0, **bounds: int) -> None:
        self.folder = folder
        self.model = model
        self.files = Files(folder)
        self.drops: list[int] = []
        self.log = PayloadLog(self.files, share, self.drops.append, **bounds)

    def put(self, rows: NDArray[Any], faults: RowFaults | None = None) -> None:
        self.log.put(self.log.begin(record(), self.model, rows, faults), answers(len(rows)))

    def lines(self) -> list[dict[str, Any]]:
        """All lines, once the log is closed."""
        self.log.close(PATIENCE_S)
        assert not list(self.folder.glob("*.part"))
        text = b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.jsonl")))
        return [orjson.loads(line) for line in text.splitlines()]


def record(request_id: str = "an-id", trace_id: str = "") -> RequestRecord:
    found = RequestRecord("POST", "/predict", request_id, 0.0)
    found.trace_id = trace_id
    return found


class ModelOnPaper:
    """What the log uses of a model."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.schema = Schema.of(manifest, 10_000)


def model_of(folder: Path, features: tuple[Feature, ...]) -> Model:
    publish(folder, "table", features=features, labels=CLASSES)
    return cast("Model", ModelOnPaper(artifact.read_manifest(folder / "table" / "1")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(tmp_path_factory.mktemp("models"), TABLE)


def answers(rows: int) -> Outputs:
    probabilities = np.linspace(0, 1, 3 * rows, dtype=np.float32).reshape(rows, 3)
    return Outputs(probabilities, probabilities.argmax(axis=1))


@pytest.fixture
def logged(tmp_path: Path, model: Model) -> Logged:
    return Logged(tmp_path, model)


def test_a_row_is_a_line_with_its_features_as_clients_send_them(logged: Logged) -> None:
    nan = np.nan
    rows = np.array([[40.5, 1.75, 1, 2, 2], [nan, 1.5, nan, nan, 0]])
    outputs = answers(2)
    logged.put(rows)
    first, second = logged.lines()
    assert first.pop("mlp_time").endswith("+00:00")
    probabilities = outputs.probabilities
    assert probabilities is not None
    assert first == {
        "mlp_request_id": "an-id",
        "mlp_trace_id": None,
        "mlp_model": "table",
        "mlp_version": 1,
        "mlp_row": 0,
        "mlp_rows": 2,
        "mlp_prediction": "cat",
        "mlp_probability_ape": pytest.approx(float(probabilities[0, 0])),
        "mlp_probability_bee": pytest.approx(float(probabilities[0, 1])),
        "mlp_probability_cat": pytest.approx(float(probabilities[0, 2])),
        "age": 40.5,
        "height": 1.75,
        "member": True,
        "country": "Italy",
        "job": "(other)",
    }
    assert [second[feature.name] for feature in TABLE] == [None, 1.5, None, None, "cook"]


def test_rows_that_do_not_fit_the_model_are_left_out(logged: Logged) -> None:
    faults = RowFaults()
    faults.add(1, InvalidInput(Fault("bad", 1)))
    rows = np.zeros((3, 5))
    rows[:, 0] = 10, 11, 12
    logged.put(rows, faults)
    assert [(line["age"], line["mlp_row"], line["mlp_rows"]) for line in logged.lines()] == [(10, 0, 3), (12, 2, 3)]


def test_the_rows_are_copied(logged: Logged) -> None:
    rows = np.ones((1, 5))
    payload = logged.log.begin(record(), logged.model, rows, None)
    rows[:] = 0
    logged.log.put(payload, answers(1))
    assert [line["age"] for line in logged.lines()] == [1]


def test_of_a_large_request_the_first_rows_are_kept(logged: Logged) -> None:
    count = MOST_VALUES
    logged.put(np.zeros((count, 5)))
    lines = logged.lines()
    assert [line["mlp_row"] for line in lines] == list(range(len(lines)))
    assert 1000 < len(lines) <= MOST_VALUES // 5
    (file,) = logged.folder.glob("*.jsonl")
    assert file.stat().st_size <= MOST_BYTES
    assert lines[-1]["mlp_rows"] == count


def test_a_feature_takes_the_place_of_a_column_of_its_name(tmp_path: Path) -> None:
    features = (replace(TABLE[1], name="mlp_row"), *TABLE[1:])
    logged = Logged(tmp_path / "log", model_of(tmp_path, features))
    logged.put(np.ones((1, 5)))
    assert logged.lines()[0]["mlp_row"] == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", ">f8", "uint8", "int64"])
def test_numbers_of_any_dtype_come_back_as_they_were(dtype: str, tmp_path: Path) -> None:
    features = tuple(replace(TABLE[1], name=name, missing=True) for name in ("a", 'b", "c', "d,é"))
    logged = Logged(tmp_path / "log", model_of(tmp_path, features))
    rows = np.random.default_rng(0).normal(0, 100, (50, 3)).astype(dtype)
    if rows.dtype.kind == "f":
        rows[3, 1] = np.nan
    logged.put(rows)
    names = [feature.name for feature in features]
    read = np.array([[line[name] for name in names] for line in logged.lines()], np.float64)
    np.testing.assert_array_equal(read.astype(dtype), rows)


def test_several_targets_are_named_as_they_are(tmp_path: Path) -> None:
    publish(tmp_path, "house", targets=("price", "rent"))
    model = cast("Model", ModelOnPaper(artifact.read_manifest(tmp_path / "house" / "1")))
    logged = Logged(tmp_path / "log", model)
    prediction = np.array([[1.5, 2.5], [3.5, np.float32(0.1)]], np.float32)
    logged.log.put(logged.log.begin(record(), model, np.zeros((2, 4)), None), Outputs(None, prediction))
    assert [(line["mlp_price"], line["mlp_rent"]) for line in logged.lines()] == [(1.5, 2.5), (3.5, 0.1)]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 1.0])
def test_a_share_of_the_requests_is_chosen_by_their_ids(share: float, tmp_path: Path, model: Model) -> None:
    log, ids, count = Logged(tmp_path, model, share).log, RequestIds(), 20_000
    records = [record(ids.of(None)) for _ in range(count)]
    chosen = [log.chooses(each) for each in records]
    spread = 6 * (count * share * (1 - share)) ** 0.5
    assert abs(sum(chosen) - count * share) <= spread
    assert [log.chooses(each) for each in records] == chosen


def test_requests_of_one_trace_are_chosen_together(tmp_path: Path, model: Model) -> None:
    log = Logged(tmp_path, model, 0.5).log
    for trace in range(100):
        assert len({log.chooses(record(str(each), f"{trace:032x}")) for each in range(20)}) == 1
    assert len({log.chooses(record("same", f"{trace:032x}")) for trace in range(100)}) == 2


def test_a_slow_disk_fills_a_bounded_queue_and_drops_the_rest(tmp_path: Path, model: Model) -> None:
    logged = Logged(tmp_path, model, max_queued_bytes=5000)
    logged.files.released.clear()
    logged.put(np.zeros((1, 5)))
    assert logged.files.began.wait(PATIENCE_S)
    for _ in range(10):
        logged.put(np.zeros((1, 5)))
    assert sum(logged.drops) == 6
    logged.files.released.set()
    assert len(logged.lines()) == 5


def test_a_full_disk_drops_payloads_and_is_logged_once(logged: Logged, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged.files.faults = [OSError(errno.ENOSPC, "No space left on device") for _ in range(3)]
    for _ in range(5):
        logged.put(np.zeros((1, 5)))
    assert len(logged.lines()) == 2
    assert sum(logged.drops) == 3
    assert [each.getMessage() for each in caplog.records] == [
        "payloads cannot be logged, and are dropped: [Errno 28] No space left on device"
    ]


def test_a_disk_that_hangs_does_not_hold_up_the_end(logged: Logged, caplog: pytest.LogCaptureFixture) -> None:
    logged.files.released.clear()
    for _ in range(2):
        logged.put(np.zeros((1, 5)))
    assert logged.files.began.wait(PATIENCE_S)
    logged.log.close(0.01)
    assert "payload(s) were not written in time" in caplog.text
    logged.files.released.set()


def test_after_the_end_payloads_are_dropped(logged: Logged) -> None:
    logged.log.close(PATIENCE_S)
    logged.put(np.zeros((1, 5)))
    assert logged.drops == [1]
