"""A real Prometheus scrapes two workers under load: its counts are correct, and every panel has data."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.deploy.load import Load
from tests.deploy.observed import Prometheus, expressions, panels, prometheus, wait_until
from tests.deploy.rendered import Document
from tests.deploy.test_rules import RULES, check
from tests.service.drifting import publish_with_reference
from tests.service.published import TABLE, as_json, publish, values_of
from tests.service.running import Running, post

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = post(
    json.dumps({"inputs": [as_json(TABLE, values_of(TABLE, 1, 0)[0])]}).encode(),
    "/predict",
    f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01",
)
BAD = post(json.dumps({"inputs": [[0.1]]}).encode())
LOAD_S = 3


@pytest.fixture(scope="module")
def sent() -> Counter[int]:
    """The number of responses by status."""
    return Counter()


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory, sent: Counter[int]) -> Iterator[Prometheus]:
    """A Prometheus that has scraped two workers after valid and invalid requests."""
    folder = tmp_path_factory.mktemp("observed")
    publish_with_reference(folder / "models")
    publish(folder / "models", "table", 2, features=TABLE)
    with (
        Running(folder / "models", "--shadow", "table@2", workers=2) as server,
        prometheus(server.port, folder) as found,
    ):
        with Load(server.port, GOOD, clients=4) as good, Load(server.port, BAD, clients=1) as bad:
            time.sleep(LOAD_S)  # a rate needs time between two scrapes
        assert not good.lost + bad.lost
        sent.update(good.answered + bad.answered)
        wait_until(lambda: by_status(found) == sent, f"Prometheus counts {sent}")
        # A worker learns what others have counted seconds later.
        wait_until(lambda: bool(found.query("mlp_feature_drift_psi")), "Prometheus has the drift")
        yield found


def by_status(observer: Prometheus) -> dict[int, float]:
    found = observer.query('sum by (status) (mlp_requests_total{route="/predict"})')
    return {int(labels["status"]): value for labels, value in found}


def test_every_request_of_both_workers_is_counted_once(observer: Prometheus, sent: Counter[int]) -> None:
    assert sent.keys() == {200, 422}
    assert by_status(observer) == sent
    assert observer.query('mlp_rejections_total{reason="invalid-input"}')[0][1] == sent[422]
    assert observer.query("sum(mlp_predictions_total)")[0][1] == sent[200]
    assert [value for _, value in observer.query('mlp_workers{job="mlp-serving"}')] == [2]


def test_openmetrics_is_scraped_with_units_and_exemplars(observer: Prometheus) -> None:
    assert observer.metadata("mlp_request_duration_seconds") == {
        "type": "histogram",
        "unit": "seconds",
        "help": "Time from a request's headers to its response.",
    }
    found = observer.exemplars('mlp_request_duration_seconds_bucket{job="mlp-serving"}')
    assert found
    for series, exemplar in found:
        assert (series["route"], series["model"], exemplar) == ("/predict", "table", {"trace_id": TRACE})


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_of_the_dashboard_has_data(observer: Prometheus, panel: Document) -> None:
    for expression in expressions(panel):
        check(expression)
        samples = observer.query(expression)
        assert samples, expression
        assert all(math.isfinite(value) for _, value in samples), (expression, samples)


def test_rules_are_recorded_and_no_alert_fires(observer: Prometheus) -> None:
    wait_until(lambda: bool(observer.query("namespace:mlp_saturation:ratio_rate5m")), "the rules are evaluated")
    for record in {rule["record"] for rule in RULES if "record" in rule}:
        assert observer.query(record), record
    assert observer.query('ALERTS{alertstate="firing"}') == []
    assert observer.query("namespace:mlp_request_errors:ratio_rate5m") == [
        ({"__name__": "namespace:mlp_request_errors:ratio_rate5m"}, 0.0)
    ]
