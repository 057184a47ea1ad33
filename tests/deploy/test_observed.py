"""The real Prometheus watches two workers under load: what it says is what was sent, and every panel has something."""

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
from tests.service.published import publish
from tests.service.running import Running, post

GOOD = post(json.dumps({"inputs": [[0.1, 0.2, 0.3, 0.4]]}).encode())
BAD = post(json.dumps({"inputs": [[0.1]]}).encode())
LOAD_S = 3


@pytest.fixture(scope="module")
def sent() -> Counter[int]:
    """How many requests were answered, by status."""
    return Counter()


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory, sent: Counter[int]) -> Iterator[Prometheus]:
    """A Prometheus that has seen good and bad requests to two workers, to the last one."""
    folder = tmp_path_factory.mktemp("observed")
    publish(folder / "models")
    with Running(folder / "models", workers=2) as server, prometheus(server.port, folder) as asked:
        with Load(server.port, GOOD, clients=4) as good, Load(server.port, BAD, clients=1) as bad:
            time.sleep(LOAD_S)  # a rate needs time between two scrapes
        assert not good.lost + bad.lost
        sent.update(good.answered + bad.answered)
        wait_until(lambda: by_status(asked) == sent, f"Prometheus counts {sent}")
        yield asked


def by_status(asked: Prometheus) -> dict[int, float]:
    found = asked.ask('sum by (status) (mlp_requests_total{route="/predict"})')
    return {int(labels["status"]): value for labels, value in found}


def test_every_request_is_counted_once_over_both_workers(observer: Prometheus, sent: Counter[int]) -> None:
    assert sent.keys() == {200, 422}
    assert by_status(observer) == sent
    assert observer.ask('mlp_rejections_total{reason="invalid-input"}')[0][1] == sent[422]
    assert observer.ask("sum(mlp_predictions_total)")[0][1] == sent[200]
    assert [value for _, value in observer.ask('mlp_workers{job="mlp-serving"}')] == [2]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_of_the_dashboard_has_data(observer: Prometheus, panel: Document) -> None:
    for expression in expressions(panel):
        check(expression)
        samples = observer.ask(expression)
        assert samples, expression
        assert all(math.isfinite(value) for _, value in samples), (expression, samples)


def test_every_rule_is_recorded_and_no_alert_is_raised_by_a_service_that_is_well(observer: Prometheus) -> None:
    wait_until(lambda: bool(observer.ask("namespace:mlp_saturation:ratio_rate5m")), "the rules are evaluated")
    for record in {rule["record"] for rule in RULES if "record" in rule}:
        assert observer.ask(record), record
    assert observer.ask('ALERTS{alertstate="firing"}') == []
    assert observer.ask("namespace:mlp_request_errors:ratio_rate5m") == [
        ({"__name__": "namespace:mlp_request_errors:ratio_rate5m"}, 0.0)
    ]
