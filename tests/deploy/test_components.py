"""Each component and the useful combinations: they render, are valid, change what they say and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.rendered import COMPONENTS, DEPLOY, Document, combined, kustomized, only, version
from tests.deploy.schemas import validate

BASE = ("base",)
# Those that another one must come before.
AFTER = {"canary": ("gateway",)}
# Those that only add documents; KServe's are not for an installation.
ADDING = {"gateway", "kserve", "monitoring"}
COMBINATIONS = {
    "gpu with all": (BASE, ("gpu", "monitoring", "keda", "same-zone")),
    "keda and monitoring": (BASE, ("monitoring", "keda")),
    "candidate of a GPU": (("overlays/gpu",), ("candidate",)),
    "candidate with keda": (BASE, ("keda", "candidate")),
    "candidate of all": (BASE, ("monitoring", "keda", "gateway", "same-zone", "candidate")),
    "canary of models from a volume": (BASE, ("volume-models", "candidate", "gateway", "canary")),
    "kserve and monitoring": (("overlays/kserve",), ("monitoring",)),
}

every_component = pytest.mark.parametrize("component", COMPONENTS)


def with_component(*components: str) -> tuple[Document, ...]:
    return combined(BASE, components)


def by_name(documents: tuple[Document, ...]) -> dict[tuple[str, str], Document]:
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    assert len(found) == len(documents)
    return found


@every_component
def test_each_component_is_one_and_says_what_it_does(component: str) -> None:
    text = (DEPLOY / "components" / component / "kustomization.yaml").read_text()
    assert yaml.safe_load(text)["kind"] == "Component"
    assert text.startswith("# ")


@every_component
def test_each_component_is_valid_on_the_base_and_changes_it(component: str) -> None:
    before, after = by_name(with_component()), by_name(with_component(*AFTER.get(component, ()), component))
    for document in after.values():
        validate(document)
    assert after != before
    if component in ADDING:
        assert after.items() >= before.items()


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_each_combination_is_valid(combination: str) -> None:
    for document in by_name(combined(*COMBINATIONS[combination])).values():
        validate(document)


def test_components_add_up() -> None:
    """Each patch of the parts is in the whole: none is undone or lost by another."""
    resources, components = COMBINATIONS["gpu with all"]
    whole = by_name(combined(resources, components))
    assert only(tuple(whole.values()), "Service")["spec"]["trafficDistribution"] == "PreferClose"
    assert whole.keys() >= {("ScaledObject", "mlp-serving"), ("PodMonitor", "mlp-serving")}
    assert only(tuple(whole.values()), "Deployment") == only(with_component("gpu"), "Deployment")


def test_kustomize_refuses_a_patch_of_what_is_not_there() -> None:
    with pytest.raises(AssertionError, match="no matches for Id"):
        combined(("overlays/kserve",), ("same-zone",))


def test_only_the_candidate_patches_by_a_target_which_may_match_nothing() -> None:
    for component in COMPONENTS:
        file = DEPLOY / "components" / component / "kustomization.yaml"
        targeted = [each for each in yaml.safe_load(file.read_text()).get("patches", []) if "target" in each]
        assert not targeted or component == "candidate", component


def test_a_gpu_waits_for_its_image_and_may_compile_kernels() -> None:
    (container,) = only(with_component("gpu"), "Deployment")["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["CUDA_CACHE_PATH"] in {each["mountPath"] for each in container["volumeMounts"]}


def test_keda_has_the_bounds_and_the_target_of_the_autoscaler_that_it_replaces() -> None:
    scaler = only(with_component(), "HorizontalPodAutoscaler")
    after = with_component("keda")
    assert not [each for each in after if each["kind"] == "HorizontalPodAutoscaler"]
    scaled = only(after, "ScaledObject")
    spec, owned = scaled["spec"], scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    assert spec["scaleTargetRef"] == scaler["spec"]["scaleTargetRef"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == tuple(
        scaler["spec"][f"{bound}Replicas"] for bound in ("min", "max")
    )
    assert owned == {"name": scaler["metadata"]["name"], "behavior": scaler["spec"]["behavior"]}
    assert scaled["metadata"]["annotations"] == {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    cpu, queue = spec["triggers"]
    target = scaler["spec"]["metrics"][0]["resource"]["target"]
    assert (cpu["type"], cpu["metadata"]["value"]) == ("cpu", str(target["averageUtilization"]))
    assert 0 < float(queue["metadata"]["threshold"]) < 0.1


def test_a_candidate_with_keda_scales_itself_by_its_cpu() -> None:
    documents = combined(*COMBINATIONS["candidate with keda"])
    name = only(documents, "Deployment")["metadata"]["name"]
    spec = only(documents, "ScaledObject")["spec"]
    assert name == "mlp-serving-candidate"
    assert spec["scaleTargetRef"]["name"] == spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == name
    assert [trigger["type"] for trigger in spec["triggers"]] == ["cpu"]


@pytest.mark.parametrize("combination", ["candidate of a GPU", "candidate with keda", "candidate of all"])
def test_nothing_of_a_candidate_has_a_name_of_the_installation(combination: str) -> None:
    resources, components = COMBINATIONS[combination]
    names = set(by_name(combined(resources, components)))
    installation = tuple(each for each in components if each != "candidate")
    assert not names & by_name(combined(resources, installation)).keys()


def test_a_candidate_has_no_route_and_no_monitoring_of_its_own() -> None:
    """A second pod monitor would count every request twice."""
    plain = {kind for kind, _ in by_name(combined(*COMBINATIONS["candidate with keda"]))}
    assert {kind for kind, _ in by_name(combined(*COMBINATIONS["candidate of all"]))} == plain


def test_a_candidate_reads_the_volume_of_the_installation() -> None:
    documents = with_component("volume-models", "candidate")
    volumes = only(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
    (models,) = [each["persistentVolumeClaim"] for each in volumes if each["name"] == "models"]
    assert models == {"claimName": "mlp-serving-models"}
    assert not [each for each in documents if each["kind"] == "PersistentVolumeClaim"]


def test_the_overlay_of_the_page_makes_the_runbooks_absolute(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(apiVersion: kustomize.*?)```", (DEPLOY / "components.md").read_text(), re.DOTALL)
    here = os.path.relpath(DEPLOY, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(block.replace("../mlp-serving/deploy", here))
    documents = kustomized(tmp_path)
    rules = only(documents, "PrometheusRule")["spec"]["groups"]
    found = {
        rule["alert"]: rule["annotations"]["runbook_url"]
        for group in rules
        for rule in group["rules"]
        if "alert" in rule
    }
    address = "https://git.example/mlp-serving/blob/main/deploy/operations.md"
    assert found == {alert: f"{address}#{alert.lower()}" for alert in found}
    (container,) = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/mlp-serving:{version()}"
    assert {each["metadata"]["namespace"] for each in documents} == {"mlp"}
    for document in documents:
        validate(document)


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("Service", {"internalTraficPolicy": "Cluster"}, "internalTraficPolicy"),
        ("PodMonitor", {"podMetricEndpoints": []}, "schema"),
        ("ScaledObject", {"pollingIntervall": 5}, "schema"),
        ("HTTPRoute", {"rule": []}, "spec.rule"),
    ],
)
def test_a_misspelt_field_is_detected(kind: str, change: dict[str, Any], field: str) -> None:
    documents = combined(("overlays/cpu",), ("monitoring", "gateway", "keda"))
    document = next(each for each in documents if each["kind"] == kind)
    document = document | {"spec": document["spec"] | change}
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError), match=field):
        validate(document)
