"""The Helm chart, rendered by Helm's own library: by default it is the cpu overlay, and each value changes its part."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import helm_python
import pytest
import yaml

from tests.deploy.chart import CHART, RUNBOOKS, files
from tests.deploy.rendered import Document, only, render
from tests.deploy.schemas import validate

# Helm and kustomize hash the settings each in its way.
SETTINGS = re.compile(r"\bmlp-serving-settings-[0-9a-z]{10}\b")
MONITORED = {"monitoring": {"enabled": True}}


@pytest.fixture(scope="module")
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def rendered(chart: helm_python.Chart, values: dict[str, Any]) -> tuple[Document, ...]:
    """The documents that Helm renders with these values, each of which is valid."""
    chart.validate_schema(values)
    texts = chart.render(values, name="any", namespace="shop").values()
    documents = tuple(document for text in texts for document in yaml.safe_load_all(text) if document)
    for document in documents:
        validate(document)
    return documents


def comparable(documents: tuple[Document, ...]) -> dict[tuple[str, str], Document]:
    """The documents by kind and name, without the hash of the settings and Helm's own annotation."""
    found = {}
    for document in deepcopy(documents):
        if document["metadata"].get("annotations") == {"helm.sh/resource-policy": "keep"}:
            del document["metadata"]["annotations"]
        same = yaml.safe_load(SETTINGS.sub("mlp-serving-settings", yaml.safe_dump(document)))
        found[same["kind"], same["metadata"]["name"]] = same
    assert len(found) == len(documents)
    return found


def test_the_chart_is_what_make_chart_writes() -> None:
    stored = {path.relative_to(CHART).as_posix(): path.read_text() for path in CHART.rglob("*") if path.is_file()}
    assert stored == files(), "run make chart"


def test_helm_finds_nothing_wrong() -> None:
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_by_default_it_is_the_cpu_overlay(chart: helm_python.Chart) -> None:
    assert comparable(rendered(chart, {})) == comparable(render("cpu"))


def test_with_monitoring_it_is_both_overlays(chart: helm_python.Chart) -> None:
    assert comparable(rendered(chart, MONITORED)) == comparable(render("cpu") + render("monitoring"))


def test_the_settings_are_named_after_their_content(chart: helm_python.Chart) -> None:
    documents = rendered(chart, {}), rendered(chart, {"settings": {"MLP_LOG_LEVEL": "warning"}})
    names = [only(each, "ConfigMap")["metadata"]["name"] for each in documents]
    for each, name in zip(documents, names, strict=True):
        (container,) = only(each, "Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": name}}]
    assert names[0] != names[1]
    before, after = (only(each, "ConfigMap")["data"] for each in documents)
    assert after == before | {"MLP_LOG_LEVEL": "warning"}


def test_replicas_are_set_only_without_an_autoscaler(chart: helm_python.Chart) -> None:
    documents = rendered(chart, {"autoscaling": {"enabled": False}, "replicas": 3})
    assert only(documents, "Deployment")["spec"]["replicas"] == 3
    assert not [each for each in documents if each["kind"] == "HorizontalPodAutoscaler"]


def test_image_resources_and_bounds(chart: helm_python.Chart) -> None:
    resources = {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "2Gi"}}
    values = {
        "image": {"repository": "registry.example:5000/mlp", "tag": "1", "pullSecrets": [{"name": "secret"}]},
        "resources": resources,
        "autoscaling": {"minReplicas": 4, "maxReplicas": 40, "cpu": 50},
    }
    documents = rendered(chart, values)
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["resources"]) == ("registry.example:5000/mlp:1", resources)
    assert pod["imagePullSecrets"] == [{"name": "secret"}]
    scaler = only(documents, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (4, 40)
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 50


@pytest.mark.parametrize(
    ("models", "volume"),
    [
        ({"claim": "ours"}, {"persistentVolumeClaim": {"claimName": "ours"}}),
        ({"image": "models:1"}, {"image": {"reference": "models:1", "pullPolicy": "IfNotPresent"}}),
    ],
)
def test_models_from_elsewhere(chart: helm_python.Chart, models: dict[str, str], volume: Document) -> None:
    pod = only(rendered(chart, {"models": models}), "Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"][-1] == {"name": "models", **volume}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "models", "mountPath": "/models", "readOnly": True}


def test_labels_and_runbooks_of_monitoring(chart: helm_python.Chart) -> None:
    runbooks = "https://git.example/main/operations.md"
    monitoring = {"enabled": True, "labels": {"release": "prometheus"}, "runbooks": runbooks}
    documents = rendered(chart, {"monitoring": monitoring})
    for kind in ("PodMonitor", "PrometheusRule"):
        assert only(documents, kind)["metadata"]["labels"]["release"] == "prometheus"
    rules = yaml.safe_dump(only(documents, "PrometheusRule"))
    assert RUNBOOKS not in rules
    assert f"{runbooks}#mlpslow" in rules


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 3},
        {"image": {"name": "x"}},
        {"settings": {"MLP_MAX_BODY_BYTES": 2097152}},  # as a float, Helm would write 2.097152e+06
        {"autoscaling": {"minReplicas": 0}},
    ],
)
def test_misspelt_and_wrong_values_are_refused(chart: helm_python.Chart, values: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmValuesError):
        chart.validate_schema(values)
