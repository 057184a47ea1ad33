"""Golden rows against networks that answer them rightly, wrongly, or not at all; and what a run costs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from service.errors import ModelRefused
from service.inference import proving
from service.inference.session import Outputs, Session
from service.manifest import Manifest
from tests.service.published import publish

Answer = Callable[[NDArray[np.float32]], Outputs]


@dataclass
class Fake:
    """A session that answers as it is told, and remembers how many rows it was given."""

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
        proving.replay(cast("Session", fake), self.golden if golden is None else golden, self.manifest, precision)
        return fake.sizes

    def refusal(self, answer: Answer, golden: bytes | None = None, precision: str = "fp32") -> str:
        with pytest.raises(ModelRefused) as refused:
            self.replay(answer, golden, precision)
        return str(refused.value)

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


def test_an_answer_too_far_away_is_refused(classifier: Published) -> None:
    def off(rows: NDArray[np.float32]) -> Outputs:
        probabilities, prediction = classifier.right(rows)
        assert probabilities is not None
        return Outputs(probabilities + np.float32(2e-4), prediction)

    assert classifier.refusal(off) == (
        "a golden row is answered with 'cat', 0.0002 away from the published 'cat'; at most 0.0001 is allowed; "
        "publish the model again"
    )


def test_another_label_is_refused_however_near(classifier: Published) -> None:
    def other(rows: NDArray[np.float32]) -> Outputs:
        probabilities, prediction = classifier.right(rows)
        return Outputs(probabilities, (prediction + 1) % 3)

    assert classifier.refusal(other) == (
        "a golden row is answered with 'ape', 0 away from the published 'cat'; at most 0.0001 is allowed; "
        "publish the model again"
    )


def test_an_answer_that_is_no_number_is_refused(classifier: Published, regression: Published) -> None:
    for published in (classifier, regression):

        def nan(rows: NDArray[np.float32], published: Published = published) -> Outputs:
            probabilities, prediction = published.right(rows)
            if probabilities is None:
                return Outputs(None, prediction * np.nan)
            return Outputs(probabilities * np.float32(np.nan), prediction)

        assert published.refusal(nan).startswith("a golden row is answered with ")


def test_a_network_that_answers_a_row_differently_alone_is_refused(classifier: Published) -> None:
    def alone(rows: NDArray[np.float32]) -> Outputs:
        return classifier.right(rows if len(rows) > 1 else rows + 1)

    assert "away from the published" in classifier.refusal(alone)


def test_a_regression_is_held_to_the_range_of_its_answers(regression: Published) -> None:
    with np.load(io.BytesIO(regression.golden)) as arrays:
        spread = np.ptp(arrays["prediction"], axis=0)

    def off_by(share: float) -> Answer:
        return lambda rows: Outputs(None, (regression.right(rows).prediction + share * spread).astype(np.float32))

    assert regression.replay(off_by(0.9e-4))
    assert regression.refusal(off_by(1.5e-4)).startswith("a golden row is answered with 'width' of ")


def test_int8_is_held_to_its_own_answers(classifier: Published) -> None:
    with np.load(io.BytesIO(classifier.golden)) as arrays:
        golden = classifier.with_arrays(
            int8_probabilities=arrays["probabilities"] + np.float32(0.015), int8_prediction=arrays["prediction"]
        )
    assert classifier.replay(classifier.right, golden, "int8")
    assert classifier.refusal(classifier.right, precision="int8") == (
        "golden.npz does not hold the golden rows ('int8_probabilities is not a file in the archive'); "
        "publish the model again"
    )


def test_a_graph_that_does_not_run_is_refused(classifier: Published) -> None:
    def fails(rows: NDArray[np.float32]) -> Outputs:
        raise RuntimeError(f"no room for {len(rows)}\nand more")

    assert classifier.refusal(fails) == ("the graph does not run on 8 rows: no room for 8; publish the model again")
    with pytest.raises(ModelRefused, match="the graph does not run on 1 rows: no room for 1; publish the model again"):
        proving.measure(cast("Session", Fake(fails)), 4)


def test_a_graph_that_gives_one_answer_for_all_is_refused(classifier: Published) -> None:
    assert classifier.refusal(lambda rows: classifier.right(rows[:1])) == "the graph gives 1 answers to 8 rows"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs": None}, "golden.npz does not hold the golden rows ('inputs is not a file in the archive')"),
        (
            {"inputs": np.zeros((0, 4)), "probabilities": np.zeros((0, 3)), "prediction": np.zeros(0)},
            "golden.npz holds arrays of shapes ((0, 4), (0, 3), (0,)), which do not fit the manifest",
        ),
        (
            {"inputs": np.zeros((8, 5))},
            "golden.npz holds arrays of shapes ((8, 5), (8, 3), (8,)), which do not fit the manifest",
        ),
        (
            {"prediction": np.zeros(7)},
            "golden.npz holds arrays of shapes ((8, 4), (8, 3), (7,)), which do not fit the manifest",
        ),
        (
            {"inputs": np.float32(1)},
            "golden.npz holds arrays of shapes ((), (8, 3), (8,)), which do not fit the manifest",
        ),
        ({"prediction": np.full(8, 3)}, "golden.npz holds predictions that are no index of the manifest's classes"),
        (
            {"inputs": np.full((8, 4), "x")},
            "golden.npz does not hold the golden rows (could not convert string to float: np.str_('x'))",
        ),
        (
            {"inputs": np.array([{}])},
            "golden.npz does not hold the golden rows (Object arrays cannot be loaded when allow_pickle=False)",
        ),
    ],
)
def test_golden_rows_that_are_none_are_refused(classifier: Published, changed: dict[str, Any], message: str) -> None:
    assert classifier.refusal(classifier.right, classifier.with_arrays(**changed)).startswith(message)


@pytest.mark.parametrize("golden", [b"", b"PK\x03\x04", b"no archive"])
def test_a_file_that_holds_no_arrays_is_refused(classifier: Published, golden: bytes) -> None:
    assert classifier.refusal(classifier.right, golden).startswith("golden.npz does not hold the golden rows (")


def test_costs_are_measured_warm_and_leave_the_loop_its_share(classifier: Published) -> None:
    fake = Fake(classifier.right)
    costs = proving.measure(cast("Session", fake), 4)
    assert set(fake.sizes) == {1, costs.batch_rows}
    assert costs.run_s >= 0
    assert costs.row_s > 0
    assert 1 <= costs.inline_rows <= costs.batch_rows
    assert costs.inline_rows == costs.batch_rows or costs.of(costs.inline_rows + 2) > proving.INLINE_BUDGET_S
