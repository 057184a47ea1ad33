"""A regression: its graph, its self-check and its metrics."""

from __future__ import annotations

import dataclasses
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from service import artifact, metrics
from service.errors import ModelRefused
from service.inference import self_check, session
from service.inference.session import Outputs
from service.manifest import Manifest
from service.metrics import Metrics
from tests.service.errors import error_message
from tests.service.published import Network, publish

TARGETS = ("price", "year")


build_error = partial(error_message, ModelRefused, session.build)
replay_error = partial(error_message, ModelRefused, self_check.replay)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    publish(tmp_path, "house", targets=TARGETS)
    return artifact.read_manifest(tmp_path / "house" / "1")


# The graph


@pytest.mark.parametrize("targets", [1, 2])
def test_a_regression_answers_a_number_for_each_target_and_no_probabilities(targets: int) -> None:
    network = Network.random(4, targets, seed=0, regression=True)
    live = session.build(network.graph(), "cpu", features=4, classes=0, targets=targets)
    rows = np.random.default_rng(0).normal(0, 1, (5, 4)).astype(np.float32)
    outputs = live.run(rows)
    assert outputs.probabilities is None
    assert (outputs.prediction.dtype, outputs.prediction.shape) == (np.float32, (5, targets))
    np.testing.assert_allclose(outputs.prediction, network.answer(rows), rtol=1e-5, atol=1e-6)


def test_a_graph_of_another_dtype_is_refused() -> None:
    graph = Network.random(4, 1, seed=0, regression=True).graph()
    sizes = {"features": 4, "classes": 0}
    assert build_error(graph, "cpu", **sizes, input_dtype="float64") == (
        "the graph takes [('inputs', 'tensor(float)', [4])], expected one float64 input 'inputs' (rows, 4); "
        "publish the model again"
    )
    assert build_error(graph, "cpu", **sizes, output_dtype="float64") == (
        "the graph gives {'prediction': ('tensor(float)', [1])}, expected {'prediction': ('tensor(double)', [1])}; "
        "publish the model again"
    )


def test_a_graph_of_another_task_or_number_of_targets_is_refused() -> None:
    numbers = Network.random(4, 2, seed=0, regression=True).graph()
    classes = Network.random(4, 3, seed=0).graph()
    wanted = "{'prediction': ('tensor(float)', [1])}"
    assert build_error(numbers, "cpu", features=4, classes=0, targets=1) == (
        f"the graph gives {{'prediction': ('tensor(float)', [2])}}, expected {wanted}; publish the model again"
    )
    given = "{'probabilities': ('tensor(float)', [3]), 'prediction': ('tensor(int64)', [])}"
    assert build_error(classes, "cpu", features=4, classes=0, targets=1) == (
        f"the graph gives {given}, expected {wanted}; publish the model again"
    )
    assert build_error(numbers, "cpu", features=4, classes=3) == (
        f"the graph gives {{'prediction': ('tensor(float)', [2])}}, expected {given}; publish the model again"
    )


def test_outputs_are_split_joined_and_filtered_with_and_without_probabilities() -> None:
    numbers = np.arange(8, dtype=np.float32).reshape(4, 2)
    for probabilities, prediction in ((None, numbers), (numbers, np.arange(4))):
        whole = Outputs(probabilities, prediction)
        parts = [whole.rows(0, 1), whole.rows(1, 4)]
        for joined, rows in ((Outputs.joined(parts), [0, 1, 2, 3]), (whole.without(np.array([0, 2])), [1, 3])):
            np.testing.assert_array_equal(joined.prediction, prediction[rows])
            if probabilities is None:
                assert joined.probabilities is None
            else:
                np.testing.assert_array_equal(joined.probabilities, probabilities[rows])


def test_a_row_with_one_number_that_is_not_finite_has_overflowed() -> None:
    numbers = np.ones((5, 2), np.float32)
    assert Outputs(None, numbers).overflowed().tolist() == []
    numbers[1, 0], numbers[3, 1], numbers[4] = np.inf, np.nan, -np.inf
    assert Outputs(None, numbers).overflowed().tolist() == [1, 3, 4]
    assert Outputs(numbers, np.arange(5)).overflowed().tolist() == [1, 3, 4]


# The self-check


class Answers:
    """A network that gives the published answers, moved by ``error`` (targets,)."""

    def __init__(self, published: NDArray[np.float64], error: tuple[float, float]) -> None:
        self.moved = (published + error).astype(np.float32)

    def run(self, inputs: NDArray[np.float32]) -> Outputs:
        return Outputs(None, self.moved[inputs[:, 0].astype(int)])


def golden(published: NDArray[np.float64], prefix: str = "") -> bytes:
    """Golden rows whose first value is their index."""
    inputs = np.zeros((len(published), 4), np.float32)
    inputs[:, 0] = np.arange(len(published))
    file = io.BytesIO()
    np.savez(file, inputs=inputs, **{f"{prefix}prediction": published.astype(np.float32)})
    return file.getvalue()


# Prices from 0 to 1000, and years close to each other and far from 0.
PUBLISHED = np.stack([np.linspace(0, 1000, 9), np.linspace(1996, 2004, 9)], axis=1)


@pytest.mark.parametrize(
    ("precision", "error"),
    [
        ("fp32", (0, 0)),
        ("fp32", (0.09, 0)),
        ("fp32", (-0.09, 0.001)),
        ("fp32", (0, 2000 * 2.0**-23)),  # the step of float32 there
        ("int8", (19, 0.15)),
    ],
)
def test_answers_within_a_small_part_of_the_published_range_are_accepted(
    manifest: Manifest, precision: str, error: tuple[float, float]
) -> None:
    rows = golden(PUBLISHED, "int8_" if precision == "int8" else "")
    self_check.replay(Answers(PUBLISHED, error), rows, manifest, precision)


@pytest.mark.parametrize(
    ("precision", "error", "found"),
    [
        ("fp32", (0.2, 0), "'price' of 0.2, 0.2 away from the published 0; at most 0.1"),
        ("fp32", (0, -0.004), "'year' of 1996, 0.004 away from the published 1996; at most 0.0027"),
        ("fp32", (np.nan, 0), "'price' of nan, nan away from the published 0; at most 0.1"),
        ("fp32", (0, np.inf), "'year' of inf, inf away from the published 1996; at most 0.0027"),
        ("int8", (0, 0.2), "'year' of 1996.2, 0.2 away from the published 1996; at most 0.16"),
    ],
)
def test_answers_further_away_are_refused(
    manifest: Manifest, precision: str, error: tuple[float, float], found: str
) -> None:
    rows = golden(PUBLISHED, "int8_" if precision == "int8" else "")
    assert replay_error(Answers(PUBLISHED, error), rows, manifest, precision) == (
        f"a golden row is answered with {found} is allowed; publish the model again"
    )


def test_answers_in_float64_are_compared_with_their_range_far_from_zero(manifest: Manifest) -> None:
    exact = dataclasses.replace(manifest, output_dtype="float64")
    seconds = 1_700_000_000 + PUBLISHED
    rows = io.BytesIO()
    np.savez(rows, inputs=np.arange(36, dtype=np.float32).reshape(9, 4) // 4, prediction=seconds)

    class Exact(Answers):
        def run(self, inputs: NDArray[np.float32]) -> Outputs:
            return Outputs(None, (seconds + self.moved)[inputs[:, 0].astype(int)])

    near, far = (Exact(np.zeros_like(seconds), (error, 0)) for error in (0.09, 0.2))
    self_check.replay(near, rows.getvalue(), exact, "fp32")
    assert "'price' of 1.7e+09, 0.2 away" in replay_error(far, rows.getvalue(), exact, "fp32")


def test_one_wrong_answer_among_many_is_refused(manifest: Manifest) -> None:
    answers = Answers(PUBLISHED, (0, 0))
    answers.moved[7, 0] += 1
    assert "'price' of 876, 1 away from the published 875;" in replay_error(
        answers, golden(PUBLISHED), manifest, "fp32"
    )


def test_golden_answers_of_another_shape_are_refused(manifest: Manifest) -> None:
    answers = Answers(PUBLISHED, (0, 0))
    assert replay_error(answers, golden(PUBLISHED[:, :1]), manifest, "fp32") == (
        "golden.npz has 'prediction' of shape (9, 1), expected (9, 2); publish the model again"
    )
    assert replay_error(answers, golden(PUBLISHED[:0]), manifest, "fp32") == (
        "golden.npz has 'inputs' of shape (0, 4), expected (1 to 4096 rows, 4); publish the model again"
    )
    assert replay_error(answers, golden(PUBLISHED), manifest, "int8") == (
        "golden.npz has no array 'int8_prediction'; publish the model again"
    )


# The metrics


def test_the_metrics_have_count_and_sum_of_each_target() -> None:
    server_metrics = metrics.alone()
    ran = server_metrics.models.regressions("house", 3, TARGETS)
    ran(None, np.array([[1.5, -2], [2.5, -4]], np.float32))
    ran(None, np.array([[1, 1]], np.float32))
    exposition = server_metrics.exposition().decode()
    for name, value in (
        ('mlp_prediction_value_count{model="house",target="price",version="3"}', 3),
        ('mlp_prediction_value_sum{model="house",target="price",version="3"}', 5),
        ('mlp_prediction_value_count{model="house",target="year",version="3"}', 3),
        ('mlp_prediction_value_sum{model="house",target="year",version="3"}', -5),
        ('mlp_batch_rows_count{model="house"}', 2),
        ('mlp_batch_rows_sum{model="house"}', 3),
    ):
        assert f"{name} {value:.1f}\n" in exposition


def test_many_values_give_the_metrics_of_single_ones() -> None:
    together, singly = metrics.alone(), metrics.alone()
    values = np.random.default_rng(0).normal(0, 1, (50, 1)).astype(np.float32)
    together.models.regressions("m", 1, ("t",))(None, values)
    singly.models.regressions("m", 1, ("t",))
    for value in values[:, 0].tolist():
        singly.models._values.labels("m", "1", "t").observe(value)
    assert predicted_values(together) == pytest.approx(predicted_values(singly), rel=1e-12)


def predicted_values(server_metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(server_metrics.exposition().decode())
    (values,) = (family for family in families if family.name == "mlp_prediction_value")
    return {sample.name: sample.value for sample in values.samples}
