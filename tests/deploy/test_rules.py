"""The rules are valid, each alert fires and stays silent when it should, and all metrics and labels exist."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.http.problems import PROBLEMS
from service.metrics.requests import SECONDS, STAGE_SECONDS
from service.metrics.scrapes import TIMEOUT_S
from tests.deploy import promql
from tests.deploy.programs import program
from tests.deploy.rendered import DEPLOY, Document, the

# The file of cases of each file of rules.
CASES = {
    "rules.yaml": Path(__file__).with_name("alerts.test.yaml"),
    "canary.yaml": Path(__file__).with_name("canary.test.yaml"),
}
FILES: dict[str, Document] = {
    "rules.yaml": the("monitoring", "PrometheusRule")["spec"],
    "canary.yaml": the("canary", "PrometheusRule")["spec"],
}
# Those that a Prometheus without a candidate evaluates.
RULES: list[Document] = [rule for group in FILES["rules.yaml"]["groups"] for rule in group["rules"]]
ALL: list[Document] = [rule for file in FILES.values() for group in file["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL if "alert" in rule]

every_file = pytest.mark.parametrize("file", FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the rules as Prometheus reads them, and the cases."""
    for file, rules in FILES.items():
        (tmp_path / file).write_text(yaml.safe_dump(rules))
        shutil.copy(CASES[file], tmp_path)
    return tmp_path


def promtool(folder: Path, *arguments: str) -> str:
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@every_file
def test_prometheus_accepts_every_rule(folder: Path, file: str) -> None:
    found = sum(len(group["rules"]) for group in FILES[file]["groups"])
    assert f"SUCCESS: {found} rules found" in promtool(folder, "check", "rules", file)


@every_file
def test_every_case_has_the_expected_alerts(folder: Path, file: str) -> None:
    promtool(folder, "test", "rules", CASES[file].name)


def test_every_alert_fires_in_one_case_and_not_in_another() -> None:
    """A case in which one of several series fires counts as both."""
    fires, silent = set(), set()
    for case in (case for file in CASES.values() for case in yaml.safe_load(file.read_text())["tests"]):
        for check in case["alert_rule_test"]:
            (fires if check["exp_alerts"] else silent).add(check["alertname"])
            if check["exp_alerts"] and len(check["exp_alerts"]) < len(case["input_series"]):
                silent.add(check["alertname"])
    names = {alert["alert"] for alert in ALERTS}
    assert (fires, silent) == (names, names)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_and_label_of_a_rule_exists(rule: Document) -> None:
    check(rule["expr"])
    assert promql.records(rule["expr"]) <= {each["record"] for each in ALL if "record" in each}


def check(expression: str) -> None:
    """Every metric, label and value in the expression exists in the service."""
    known = promql.known()
    labels = set(promql.TARGET_LABELS)
    for name, matchers in promql.selectors(expression):
        assert name in known
        bounds = STAGE_SECONDS if name.startswith("mlp_stage_") else SECONDS
        values = {"reason": {name for _, name, _ in PROBLEMS.values()}, "le": {str(bound) for bound in bounds}}
        labels |= known[name]
        for label, value in matchers:
            assert label in known[name] | promql.TARGET_LABELS, f"{name} has no label {label}"
            assert label not in values or set(value.split("|")) <= values[label], f"{label} is never {value!r}"
    # The labels of a recorded series are checked with its own rule.
    assert promql.records(expression) or promql.groupings(expression) <= labels


def test_unknown_metrics_labels_and_values_are_detected() -> None:
    for expression in ('rate(mlp_requests{job="x"}[5m])', 'mlp_ready{pod="x"}', "sum by (code) (mlp_ready)"):
        with pytest.raises(AssertionError):
            check(expression)
    with pytest.raises(AssertionError, match=r"le is never '0\.2'"):
        check('mlp_request_duration_seconds_bucket{le="0.2"}')
    with pytest.raises(AssertionError, match=r"le is never '5\.0'"):
        check('mlp_stage_duration_seconds_bucket{stage="queue", le="5.0"}')
    check('mlp_stage_duration_seconds_bucket{stage="decode", le="1e-05"}')


def test_a_scrape_ends_before_prometheus_gives_it_up() -> None:
    (endpoint,) = the("monitoring", "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert float(endpoint["scrapeTimeout"].removesuffix("s")) > TIMEOUT_S


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_severity_and_a_runbook(alert: Document) -> None:
    page, anchor = alert["annotations"]["runbook_url"].split("#")
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in (DEPLOY.parent / page).read_text()
