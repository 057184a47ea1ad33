"""Golden rows replayed on networks with right, wrong and no answers; and the costs of a run."""

from __future__ import annotations

import io
import itertools
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from service.errors import ModelRefused
from service.inference import self_check
from service.inference.session import Outputs
from service.manifest import Manifest
from tests.service.errors import error_message
from tests.service.published import publish

Answer = Callable[[NDArray[np.float32]], Outputs]


@dataclass
class Fake:
    """A session with a given answer that records the sizes of its batches."""

    answer: Answer
    sizes: list[int] = field(default_factory=list)

    def run(self, rows: NDArray[np.float32]) -> Outputs:
        self.sizes.append(len(rows))
        return self.answer(rows)


@dataclass
class Published:
    manifest: Manifest
    golden: bytes
    right: Answer

    def replay(self, answer: Answer, golden: bytes | None = None, precision: str = "fp32") -> list[int]:
        fake = Fake(answer)
        self_check.replay(fake, self.golden if golden is None else golden, self.manifest, precision)
        return fake.sizes

    def error(self, answer: Answer, golden: bytes | None = None, precision: str = "fp32") -> str:
        return error_message(ModelRefused, self.replay, answer, golden, precision)

    def with_arrays(self, **changed: Any) -> bytes:
        with np.load(io.BytesIO(self.golden)) as arrays:
            content = dict(arrays) | changed
        file = io.BytesIO()
        np.savez(file, **{name: array for name, array in content.items() if array is not None})
        return file.getvalue()


@pytest.fixture
def classifier(tmp_path: Path) -> Published:
    network = publish(tmp_path)
    read = artifact.read(tmp_path / "small" / "1")

    def right(rows: NDArray[np.float32]) -> Outputs:
        probabilities = network.answer(rows)
        return Outputs(probabilities, probabilities.argmax(axis=1))

    return Published(read.manifest, read.golden, right)


@pytest.fixture
def regression(tmp_path: Path) -> Published:
    network = publish(tmp_path, "sizes", targets=("width", "height"))
    read = artifact.read(tmp_path / "sizes" / "1")
    return Published(read.manifest, read.golden, lambda rows: Outputs(None, network.answer(rows)))


def test_golden_rows_are_replayed_together_and_each_alone(classifier: Published, regression: Published) -> None:
    for published in (classifier, regression):
        assert published.replay(published.right) == [8, *[1] * 8]


def test_an_answer_too_far_from_the_published_one_is_refused(classifier: Published) -> None:
    def off(rows: NDArray[np.float32]) -> Outputs:
        probabilities, prediction = classifier.right(rows)
        assert probabilities is not None
        return Outputs(probabilities + np.float32(2e-4), prediction)

    assert classifier.error(off) == (
        "a golden row is answered with 'cat', 0.0002 away from the published 'cat'; at most 0.0001 is allowed; "
        "publish the model again"
    )


def test_another_label_is_refused_even_if_near(classifier: Published) -> None:
    def other(rows: NDArray[np.float32]) -> Outputs:
        probabilities, prediction = classifier.right(rows)
        return Outputs(probabilities, (prediction + 1) % 3)

    assert classifier.error(other) == (
        "a golden row is answered with 'ape', 0 away from the published 'cat'; at most 0.0001 is allowed; "
        "publish the model again"
    )


def test_an_answer_that_is_not_finite_is_refused(classifier: Published, regression: Published) -> None:
    for published in (classifier, regression):

        def nan(rows: NDArray[np.float32], published: Published = published) -> Outputs:
            probabilities, prediction = published.right(rows)
            if probabilities is None:
                return Outputs(None, prediction * np.nan)
            return Outputs(probabilities * np.float32(np.nan), prediction)

        assert published.error(nan).startswith("a golden row is answered with ")


def test_a_network_that_answers_a_row_differently_alone_is_refused(classifier: Published) -> None:
    def alone(rows: NDArray[np.float32]) -> Outputs:
        return classifier.right(rows if len(rows) > 1 else rows + 1)

    assert "away from the published" in classifier.error(alone)


def test_a_regression_is_compared_with_the_range_of_its_answers(regression: Published) -> None:
    with np.load(io.BytesIO(regression.golden)) as arrays:
        spread = np.ptp(arrays["prediction"], axis=0)

    def off_by(share: float) -> Answer:
        return lambda rows: Outputs(None, (regression.right(rows).prediction + share * spread).astype(np.float32))

    assert regression.replay(off_by(0.9e-4))
    assert regression.error(off_by(1.5e-4)).startswith("a golden row is answered with 'width' of ")


def test_int8_is_compared_with_its_own_answers(classifier: Published) -> None:
    with np.load(io.BytesIO(classifier.golden)) as arrays:
        golden = classifier.with_arrays(
            int8_probabilities=arrays["probabilities"] + np.float32(0.015), int8_prediction=arrays["prediction"]
        )
    assert classifier.replay(classifier.right, golden, "int8")
    assert classifier.error(classifier.right, precision="int8") == (
        "golden.npz has no array 'int8_probabilities'; publish the model again"
    )


def test_a_graph_that_does_not_run_is_refused(classifier: Published) -> None:
    def fails(rows: NDArray[np.float32]) -> Outputs:
        raise RuntimeError(f"no room for {len(rows)}\nand more")

    assert classifier.error(fails) == ("the graph does not run on 8 rows: no room for 8; publish the model again")
    with pytest.raises(ModelRefused, match="the graph does not run on 1 rows: no room for 1; publish the model again"):
        self_check.measure(Fake(fails), 4)


def test_a_graph_that_gives_one_answer_for_all_is_refused(classifier: Published) -> None:
    assert classifier.error(lambda rows: classifier.right(rows[:1])) == (
        "the graph gives 1 answers to 8 rows; publish the model again"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs": None}, "golden.npz has no array 'inputs'"),
        ({"inputs": np.zeros((0, 4))}, "golden.npz has 'inputs' of shape (0, 4), expected (1 to 4096 rows, 4)"),
        ({"inputs": np.zeros((5000, 4))}, "golden.npz has 'inputs' of shape (5000, 4), expected (1 to 4096 rows, 4)"),
        ({"inputs": np.zeros((8, 5))}, "golden.npz has 'inputs' of shape (8, 5), expected (1 to 4096 rows, 4)"),
        ({"prediction": np.zeros(7)}, "golden.npz has 'prediction' of shape (7), expected (8)"),
        ({"inputs": np.float32(1)}, "golden.npz has 'inputs' of shape (), expected (1 to 4096 rows, 4)"),
        ({"prediction": np.full(8, 3)}, "golden.npz holds predictions that are no index of the manifest's classes"),
        ({"prediction": np.full(8, 0.5)}, "golden.npz holds predictions that are no index of the manifest's classes"),
        ({"prediction": np.full(8, np.nan)}, "golden.npz has 'prediction' with values that are no finite numbers"),
        ({"probabilities": np.full((8, 3), np.inf)}, "golden.npz has 'probabilities' with values that are no finite"),
        ({"inputs": np.full((8, 4), np.nan)}, "golden.npz has a row without a finite value of 'f0'"),
        (
            {"inputs": np.full((8, 4), "x")},
            "golden.npz has 'inputs' of dtype <U1, expected numbers of up to 64 bits",
        ),
        (
            {"inputs": np.full((8, 4), {})},
            "golden.npz has 'inputs' of dtype object, expected numbers of up to 64 bits",
        ),
        (
            {"inputs": np.zeros((8, 4), np.complex64)},
            "golden.npz has 'inputs' of dtype complex64, expected numbers of up to 64 bits",
        ),
    ],
)
def test_invalid_golden_rows_are_refused(classifier: Published, changed: dict[str, Any], message: str) -> None:
    error = classifier.error(classifier.right, classifier.with_arrays(**changed))
    assert error.startswith(message)
    assert error.endswith("; publish the model again")


def npy_header(shape: str) -> bytes:
    """A .npy file of a header alone."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy_header("(8, 4)"), "golden.npz has 'inputs' of another length than its shape (8, 4) has"),
        (npy_header("(8, 4)") + bytes(2**26), "golden.npz has 'inputs' of another length than its shape (8, 4) has"),
        (npy_header("(10 ** 12, 4)"), "golden.npz is no archive of arrays ("),
        (npy_header("(1000000000000, 4)"), "golden.npz has 'inputs' of shape (1000000000000, 4), expected (1 to"),
        (npy_header("(True, 4)"), "golden.npz has 'inputs' of "),
        (npy_header(f"({'8, ' * 9000})"), "golden.npz is no archive of arrays ("),
        (b"", "golden.npz is no archive of arrays ("),
        (b"\x93NUMPY", "golden.npz is no archive of arrays ("),
        (b"no array", "golden.npz is no archive of arrays ("),
    ],
)
def test_an_invalid_array_is_refused_before_anything_is_allocated(
    classifier: Published, member: bytes, message: str
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", member)
    tracemalloc.start()
    try:
        error = classifier.error(classifier.right, file.getvalue())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.startswith(message)
    assert error.count("\n") == 0
    assert peak_bytes < 4 * 2**20


def test_a_damaged_file_is_refused_or_read_unchanged(classifier: Published) -> None:
    """The result is a one-line error message or the original rows."""
    random = np.random.default_rng(0)
    packed = io.BytesIO()
    with np.load(io.BytesIO(classifier.golden)) as arrays:
        np.savez_compressed(packed, allow_pickle=False, **arrays)
    errors = []
    for golden in (classifier.golden, packed.getvalue()):
        for index in random.integers(0, len(golden), 400).tolist():
            damaged = bytearray(golden)
            damaged[index] = int(random.integers(256))
            try:
                classifier.replay(classifier.right, bytes(damaged))
            except ModelRefused as error:
                errors.append(str(error))
        for length in random.integers(0, len(golden), 50).tolist():
            assert "golden.npz" in classifier.error(classifier.right, golden[:length])
    assert len(errors) > 100
    assert not any("\n" in error for error in errors)


@pytest.mark.parametrize("golden", [b"", b"PK\x03\x04", b"no archive"])
def test_a_file_without_arrays_is_refused(classifier: Published, golden: bytes) -> None:
    assert classifier.error(classifier.right, golden).startswith("golden.npz is no archive of arrays (")


def test_costs_are_measured_on_the_given_clock(classifier: Published) -> None:
    """A version is loaded while the server is busy: a clock of the thread leaves out what other threads took."""
    ticks = itertools.count()
    costs = self_check.measure(Fake(classifier.right), 4, clock=lambda: float(next(ticks)))
    assert costs.of(1) == pytest.approx(1.0, rel=0.01)


def test_inline_rows_fit_the_time_budget_of_the_event_loop(classifier: Published) -> None:
    fake = Fake(classifier.right)
    costs = self_check.measure(fake, 4)
    assert set(fake.sizes) == {1, costs.batch_rows}
    assert costs.run_s >= 0
    assert costs.row_s > 0
    assert 1 <= costs.inline_rows <= costs.batch_rows
    assert costs.inline_rows == costs.batch_rows or costs.of(costs.inline_rows + 2) > self_check.INLINE_BUDGET_S
