"""A shadow version: compared on the rows that were served, in spare time, and whatever it does concerns nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from service import artifact
from service.errors import ModelRefused, StartError
from service.inference import shadow as shadow_module
from service.inference.session import Outputs
from service.inference.shadow import HUNG_S, MAX_ROWS, Candidate, Shadow, Shadows, difference
from service.manifest import Manifest
from service.metrics import Metrics
from tests.service.inference.loading import loader
from tests.service.published import TABLE, Network, publish, values_of

PATIENCE_S = 60.0


class Clock:
    """Gives the time that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Compared:
    """A shadow of version 2 with a network of a test, and what it counts."""

    def __init__(self, manifest: Manifest, run: Callable[[NDArray[np.float32]], Outputs]) -> None:
        self.clock = Clock()
        self.metrics = Metrics(CollectorRegistry())
        self.stopped = threading.Event()
        self.candidate = Candidate(replace(manifest, version=2), run, self.stopped.set)
        self.shadow = Shadow(self.candidate, self.metrics.shadow, clock=self.clock, rest_s=lambda: lambda: 0.0)

    def counted(self) -> dict[str, float]:
        text = self.metrics.exposition().decode()
        return {
            " ".join(
                [sample.name.removeprefix("mlp_shadow_"), *(v for _, v in sorted(sample.labels.items()))]
            ): sample.value
            for family in text_string_to_metric_families(text)
            if family.name.startswith("mlp_shadow")
            for sample in family.samples
        }

    def when(self, name: str, value: float) -> dict[str, float]:
        """What is counted, once a count has a value."""
        ends_s = time.monotonic() + PATIENCE_S
        while (found := self.counted()).get(name) != value:
            assert time.monotonic() < ends_s, found
            time.sleep(0.001)
        return found


def outputs_of(network: Network, rows: NDArray[np.float32]) -> Outputs:
    answer = network.answer(rows)
    return Outputs(None, answer) if network.regression else Outputs(answer, answer.argmax(axis=1))


@pytest.fixture
def serving(tmp_path: Path) -> Manifest:
    publish(tmp_path, "table", features=TABLE)
    return artifact.read_manifest(tmp_path / "table" / "1")


NETWORK = Network.random(len(TABLE), 3, 0)
OTHER = Network.random(len(TABLE), 3, 7)
ROWS = values_of(TABLE, 40, 1)
SERVED = outputs_of(NETWORK, ROWS)


@pytest.fixture
def compared(serving: Manifest) -> Iterator[Callable[[Callable[[NDArray[np.float32]], Outputs]], Compared]]:
    made: list[Compared] = []

    def make(run: Callable[[NDArray[np.float32]], Outputs]) -> Compared:
        made.append(Compared(serving, run))
        return made[-1]

    yield make
    for each in made:
        each.shadow.close()


Make = Callable[[Callable[[NDArray[np.float32]], Outputs]], Compared]


def test_the_same_network_agrees_on_every_row(compared: Make, serving: Manifest) -> None:
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    rows = ROWS.copy()
    same.shadow.observe(serving, rows, SERVED)
    rows[:] = np.nan  # the batcher's array is used again
    found = same.when("rows_total table 1 2", 40)
    assert found["agreed_rows_total table 1 2"] == 40
    assert found["probability_change_count table 1 2"] == 40
    assert found["probability_change_sum table 1 2"] == 0
    assert found["run_duration_seconds_count table 2"] == 1
    assert found["skipped_rows_total table 2"] == 0
    assert {name: value for name, value in found.items() if name.startswith("failed")} == {
        f"failed_rows_total table {reason} 2": 0 for reason in ("raised", "not-finite", "hung")
    }


def test_another_network_is_compared_with_what_was_served(compared: Make, serving: Manifest) -> None:
    other = compared(lambda rows: outputs_of(OTHER, rows))
    other.shadow.observe(serving, ROWS, SERVED)
    found = other.when("rows_total table 1 2", 40)
    theirs = outputs_of(OTHER, ROWS)
    assert SERVED.probabilities is not None
    assert theirs.probabilities is not None
    labels = SERVED.prediction
    change = [
        abs(float(theirs.probabilities[row, label]) - float(SERVED.probabilities[row, label]))
        for row, label in enumerate(labels.tolist())
    ]
    assert 0 < found["agreed_rows_total table 1 2"] == (theirs.prediction == labels).sum() < 40
    assert found["probability_change_sum table 1 2"] == pytest.approx(sum(change), rel=1e-5)


def test_a_regression_is_compared_by_its_values(serving: Manifest) -> None:
    manifest = replace(serving, task="regression", classes=(), targets=("width", "height"))
    regression = Network.random(len(TABLE), 2, 1, regression=True)

    def run(rows: NDArray[np.float32]) -> Outputs:
        return Outputs(None, regression.answer(rows) + np.array([0.5, -2], np.float32))

    each = Compared(manifest, run)
    each.shadow.observe(manifest, ROWS, outputs_of(regression, ROWS))
    found = each.when("value_change_count table 1 width 2", 40)
    assert found["value_change_sum table 1 width 2"] == pytest.approx(20, rel=1e-4)
    assert found["value_change_sum table 1 height 2"] == pytest.approx(80, rel=1e-4)
    assert "agreed_rows_total table 1 2" not in found
    each.shadow.close()


def test_rows_are_skipped_and_counted_while_the_candidate_runs(compared: Make, serving: Manifest) -> None:
    began, go_on = threading.Event(), threading.Event()

    def run(rows: NDArray[np.float32]) -> Outputs:
        began.set()
        assert go_on.wait(PATIENCE_S)
        return outputs_of(NETWORK, rows)

    slow = compared(run)
    slow.shadow.observe(serving, ROWS, SERVED)
    assert began.wait(PATIENCE_S)
    for _ in range(5):
        slow.shadow.observe(serving, ROWS[:7], SERVED.rows(0, 7))
    assert slow.counted()["skipped_rows_total table 2"] == 35
    go_on.set()
    slow.when("rows_total table 1 2", 40)
    assert slow.counted()["skipped_rows_total table 2"] == 35


def test_of_a_large_run_a_part_is_compared(compared: Make, serving: Manifest) -> None:
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    rows = values_of(TABLE, MAX_ROWS + 50, 1)
    same.shadow.observe(serving, rows.astype(np.float64), outputs_of(NETWORK, rows))
    found = same.when("rows_total table 1 2", MAX_ROWS)
    assert found["agreed_rows_total table 1 2"] == MAX_ROWS
    assert found["skipped_rows_total table 2"] == 50


def test_a_candidate_that_raises_is_counted_and_logged_once(
    compared: Make, serving: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    def run(_rows: NDArray[np.float32]) -> Outputs:
        raise ValueError("no")

    failing = compared(run)
    for rows in (40, 80):
        serve_when_idle(failing, serving)
        failing.when("failed_rows_total table raised 2", rows)
    assert caplog.messages == [
        "shadow version 2 of table failed on 40 rows (raised); later failures are only counted, in "
        "mlp_shadow_failed_rows_total"
    ]


def wait_until_idle(each: Compared) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not each.shadow._idle:
        assert time.monotonic() < ends_s
        time.sleep(0.001)


def serve_when_idle(each: Compared, serving: Manifest) -> None:
    """Serve one run that is compared."""
    wait_until_idle(each)
    each.shadow.observe(serving, ROWS, SERVED)


def test_answers_that_are_not_finite_are_failures_of_their_rows(compared: Make, serving: Manifest) -> None:
    def run(rows: NDArray[np.float32]) -> Outputs:
        outputs = outputs_of(NETWORK, rows)
        assert outputs.probabilities is not None
        outputs.probabilities[3:5] = np.nan
        return outputs

    odd = compared(run)
    odd.shadow.observe(serving, ROWS, SERVED)
    found = odd.when("rows_total table 1 2", 38)
    assert found["agreed_rows_total table 1 2"] == 38
    assert found["failed_rows_total table not-finite 2"] == 2


def test_a_run_that_hangs_is_ended_and_the_next_one_is_compared(
    compared: Make, serving: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    def run(rows: NDArray[np.float32]) -> Outputs:
        if len(rows) == 40:
            assert hanging.stopped.wait(PATIENCE_S)
            raise RuntimeError("Exiting due to terminate flag being set to true.")
        return outputs_of(NETWORK, rows)

    hanging = compared(run)
    hanging.shadow.observe(serving, ROWS, SERVED)
    hanging.clock.now_s += HUNG_S
    hanging.shadow.observe(serving, ROWS, SERVED)
    assert not hanging.stopped.is_set()
    hanging.clock.now_s += 1
    hanging.shadow.observe(serving, ROWS, SERVED)
    assert hanging.stopped.is_set()
    found = hanging.when("failed_rows_total table hung 2", 40)
    assert found["skipped_rows_total table 2"] == 80
    wait_until_idle(hanging)
    hanging.shadow.observe(serving, ROWS[:7], SERVED.rows(0, 7))
    found = hanging.when("rows_total table 1 2", 7)
    assert found["failed_rows_total table raised 2"] == 0
    assert caplog.messages == [
        "shadow version 2 of table failed on 40 rows (hung); later failures are only counted, in "
        "mlp_shadow_failed_rows_total"
    ]


def test_each_serving_version_is_counted_by_itself(compared: Make, serving: Manifest) -> None:
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    for version in (1, 3, 1):
        serve_when_idle(same, replace(serving, version=version))
    found = same.when("rows_total table 1 2", 80)
    assert found["rows_total table 3 2"] == 40


def test_a_version_that_cannot_be_compared_is_logged_once(
    compared: Make, serving: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    other = replace(serving, version=3, classes=("ape", "bee", "dog"))
    for _ in range(3):
        same.shadow.observe(other, ROWS, SERVED)
    assert caplog.messages == [
        "shadow version 2 of table is not compared with version 3: its 'classes' is ('ape', 'bee', 'cat'), and "
        "('ape', 'bee', 'dog') in version 3"
    ]
    same.shadow.observe(serving, ROWS, SERVED)
    found = same.when("rows_total table 1 2", 40)
    assert "rows_total table 3 2" not in found


def test_a_candidate_that_is_served_is_not_compared_any_more(
    compared: Make, serving: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    serve_when_idle(same, serving)
    same.when("rows_total table 1 2", 40)
    ends_s = time.monotonic() + PATIENCE_S
    with caplog.at_level("INFO"):
        while not same.shadow._closed.is_set():
            assert time.monotonic() < ends_s
            same.shadow.observe(same.candidate.manifest, ROWS, SERVED)
    assert caplog.messages == ["table version 2 is served now, and not compared any more"]
    assert same.shadow._thread is not None
    same.shadow._thread.join(PATIENCE_S)
    assert not same.shadow._thread.is_alive()
    same.shadow.observe(serving, ROWS, SERVED)
    assert same.counted()["rows_total table 1 2"] == 40


def test_closing_does_not_wait_for_a_candidate_that_hangs(compared: Make, serving: Manifest) -> None:
    began, never = threading.Event(), threading.Event()

    def run(rows: NDArray[np.float32]) -> Outputs:
        began.set()
        never.wait(PATIENCE_S)
        return outputs_of(NETWORK, rows)

    hanging = compared(run)
    hanging.shadow.observe(serving, ROWS, SERVED)
    assert began.wait(PATIENCE_S)
    began_s = time.monotonic()
    hanging.shadow.close()
    assert time.monotonic() - began_s < 1
    assert hanging.stopped.is_set()
    never.set()


def test_the_thread_has_a_low_priority(compared: Make, serving: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int, int]] = []
    monkeypatch.setattr(shadow_module.os, "setpriority", lambda *given: set_to.append(given))
    same = compared(lambda rows: outputs_of(NETWORK, rows))
    same.shadow.observe(serving, ROWS, SERVED)
    same.when("rows_total table 1 2", 40)
    assert same.shadow._thread is not None
    assert set_to == [(0, same.shadow._thread.native_id, 10)]


def test_versions_that_only_learned_from_other_rows_can_be_compared(serving: Manifest) -> None:
    features = tuple(
        replace(each, mean=9.0, std=9.0, min=-9.0, max=99.0, default=1.0, has_time=True) for each in serving.features
    )
    assert difference(replace(serving, version=2, features=features, seed=5), serving) is None


def test_a_candidate_may_accept_more_than_the_serving_version(serving: Manifest) -> None:
    features = (*serving.features[:1], replace(serving.features[1], missing=True), *serving.features[2:])
    wider = replace(serving, version=2, features=features)
    assert difference(wider, serving) is None
    assert difference(serving, wider) == "its feature 'height' takes no missing values, and that of version 2 does"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": ("a", "b")}, "its 'classes' is ('a', 'b'), and ('ape', 'bee', 'cat') in version 1"),
        ({"targets": ("plant",)}, "its 'targets' is ('plant',), and ('animal',) in version 1"),
        ({"input_dtype": "float64"}, "its 'input_dtype' is 'float64', and 'float32' in version 1"),
        ({"input_shape": (1, 5)}, "its 'input_shape' is (1, 5), and (5,) in version 1"),
        ({"features": (TABLE[1], TABLE[0], *TABLE[2:])}, "its feature 'height' differs from 'age' of version 1"),
        (
            {"features": (*TABLE[:3], replace(TABLE[3], categories=("France", "Italy")), TABLE[4])},
            "its feature 'country' differs from 'country' of version 1",
        ),
    ],
)
def test_versions_with_other_features_or_labels_cannot_be_compared(
    serving: Manifest, change: dict[str, object], reason: str
) -> None:
    candidate = replace(serving, version=2, **change)  # type: ignore[arg-type]
    assert difference(candidate, serving) == reason
    shadows = Shadows()
    shadows.add(Candidate(candidate, lambda _rows: SERVED, lambda: None), Metrics(CollectorRegistry()).shadow, Clock())
    with pytest.raises(StartError) as refused:
        shadows.check([serving])
    assert str(refused.value) == (
        f"--shadow (MLP_SHADOW): table@2 cannot be compared with the version that is served, as {reason}; choose a "
        "version with the same features and labels"
    )


def test_a_version_is_loaded_to_be_compared(tmp_path: Path) -> None:
    publish(tmp_path, version=2)
    (candidate,) = loader(tmp_path).load_shadows({"small": 2})
    assert candidate.manifest.version == 2
    assert candidate.run(np.zeros((3, 4), np.float32)).prediction.shape == (3,)


def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(ModelRefused, match=r"^--shadow .MLP_SHADOW. small@7 cannot be used: .*/small/7/metadata.json "):
        loader(tmp_path).load_shadows({"small": 7})
