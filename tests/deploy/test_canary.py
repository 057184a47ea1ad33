"""The installation and its candidate are apart from each other, alike but for what is new, and reached by weights."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.deploy.rendered import DEPLOY, Document, only, render, version

STABLE, CANDIDATE = "mlp-serving", "mlp-serving-candidate"
OVERLAYS = {STABLE: "cpu", CANDIDATE: "canary"}
LABEL = "app.kubernetes.io/name"

both = pytest.mark.parametrize("name", [STABLE, CANDIDATE])


def the(kind: str, name: str) -> Document:
    return only(render(OVERLAYS[name]), kind, name)


def pod_labels(name: str) -> dict[str, str]:
    labels: dict[str, str] = the("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    return labels


@both
def test_every_selector_matches_its_own_pods_and_no_others(name: str) -> None:
    spec = the("Deployment", name)["spec"]
    selectors = [
        spec["selector"]["matchLabels"],
        the("Service", name)["spec"]["selector"],
        the("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in spec["template"]["spec"]["topologySpreadConstraints"]),
    ]
    other = pod_labels(CANDIDATE if name == STABLE else STABLE)
    for selector in selectors:
        assert pod_labels(name).items() >= selector.items()
        assert not other.items() >= selector.items()


@both
def test_each_has_an_autoscaler_and_an_account_of_its_own(name: str) -> None:
    assert the("HorizontalPodAutoscaler", name)["spec"]["scaleTargetRef"]["name"] == name
    assert the("Deployment", name)["spec"]["template"]["spec"]["serviceAccountName"] == name
    assert the("ServiceAccount", name)["metadata"]["name"] == name


def test_applying_a_canary_changes_nothing_of_the_installation() -> None:
    installed = {(each["kind"], each["metadata"]["name"]) for each in render("cpu")}
    assert not installed & {(each["kind"], each["metadata"]["name"]) for each in render("canary")}


def test_the_label_selects_all_of_a_canary_but_its_route() -> None:
    labels = {each["kind"]: each["metadata"]["labels"][LABEL] for each in render("canary")}
    assert labels.pop("HTTPRoute") == STABLE
    assert set(labels.values()) == {CANDIDATE}


def test_the_commands_of_the_page_end_a_canary() -> None:
    text = (DEPLOY / "components.md").read_text()
    (kinds,) = re.findall(rf"delete (\S+) \\\n *-l {LABEL}={CANDIDATE}\n", text)
    short = {"horizontalpodautoscaler": "hpa", "poddisruptionbudget": "pdb"}
    found = {each["kind"].lower() for each in render("canary")} - {"httproute"}
    assert set(kinds.split(",")) == {short.get(kind, kind) for kind in found}
    assert '"op": "remove", "path": "/spec/rules/0/backendRefs/1"' in text


def test_the_candidate_differs_in_names_and_labels_alone() -> None:
    text = json.dumps(the("Deployment", CANDIDATE)).replace(CANDIDATE, STABLE)
    found: dict[str, Any] = json.loads(text.replace(f"{STABLE}-settings-candidate-", f"{STABLE}-settings-"))
    assert found == the("Deployment", STABLE)
    assert pod_labels(CANDIDATE)["app.kubernetes.io/version"] == version()


def test_the_route_leads_to_both_services_by_weight() -> None:
    (rule,) = only(render("canary"), "HTTPRoute", STABLE)["spec"]["rules"]
    stable, candidate = rule["backendRefs"]
    assert (stable["name"], candidate["name"]) == (STABLE, CANDIDATE)
    for backend in rule["backendRefs"]:
        (port,) = the("Service", backend["name"])["spec"]["ports"]
        assert backend["port"] == port["port"]
    assert 0 < candidate["weight"] < stable["weight"]
    assert stable["weight"] + candidate["weight"] == 100


def test_the_rules_compare_the_jobs_that_the_pod_monitor_makes() -> None:
    monitor = only(render("monitoring"), "PodMonitor")["spec"]
    (selected,) = monitor["selector"]["matchExpressions"]
    assert monitor["jobLabel"] == selected["key"] == LABEL
    assert selected["values"] == [pod_labels(STABLE)[LABEL], pod_labels(CANDIDATE)[LABEL]]
    rules = json.dumps(only(render("canary"), "PrometheusRule")["spec"])
    assert f'job=\\"{CANDIDATE}\\"' in rules
    assert f'job=~\\"{STABLE}|{CANDIDATE}\\"' in rules
