"""KServe's runtime and service: our own minimal checks, as its schemas come with no small package.

Containers and pods are checked against the schema of Kubernetes, and both against the Deployment of base.
"""

from __future__ import annotations

from typing import Any

import kubernetes_validate

from service.settings import PREFIX, Settings
from tests.deploy.rendered import Document, pod, server, the, variables, version
from tests.deploy.schemas import KUBERNETES

# Where KServe mounts what a storageUri names.
MOUNT = "/mnt/models"
# The fields of a pod that KServe takes from the service, and those of a container that it takes from the runtime.
POD_FIELDS = ("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext")
DIFFERENT = {"name", "env", "envFrom", "volumeMounts"}


def runtime() -> Document:
    spec: Document = the("kserve", "ServingRuntime")["spec"]
    return spec


def predictor() -> Document:
    spec: Document = the("kserve", "InferenceService")["spec"]["predictor"]
    return spec


def container() -> Document:
    (found,) = runtime()["containers"]
    return dict(found)


def environment() -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container()["env"]}


def test_the_pod_that_kserve_makes_is_in_the_schema_of_kubernetes() -> None:
    spec = {"containers": runtime()["containers"], "volumes": runtime()["volumes"]}
    spec |= {name: predictor()[name] for name in POD_FIELDS}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_container_and_the_pod_are_those_of_the_deployment() -> None:
    expected = server("cpu")
    assert expected.keys() - DIFFERENT == container().keys() - DIFFERENT
    for name in expected.keys() - DIFFERENT:
        assert container()[name] == expected[name], name
    for name in POD_FIELDS:
        assert predictor()[name] == pod("cpu")["spec"][name], name
    assert runtime()["volumes"] == pod("cpu")["spec"]["volumes"]
    assert container()["volumeMounts"] == expected["volumeMounts"]
    assert runtime()["labels"].items() <= pod("cpu")["metadata"]["labels"].items()
    assert runtime()["annotations"] == pod("cpu")["metadata"]["annotations"]
    assert predictor()["deploymentStrategy"] == the("cpu", "Deployment")["spec"]["strategy"]


def test_the_settings_are_those_of_base_and_the_folder_is_kserves() -> None:
    workers = environment().pop("MLP_WORKERS")
    assert workers["resourceFieldRef"] == {
        "containerName": "kserve-container",
        "resource": "limits.cpu",
        "divisor": "1",
    }
    given = {name: value for name, value in environment().items() if name != "MLP_WORKERS"}
    assert given == the("cpu", "ConfigMap")["data"] | {"MLP_MODELS": MOUNT}
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)
    assert variables("cpu").keys() >= given.keys() - {"MLP_MODELS"}


def test_kserve_finds_the_container_and_the_runtime() -> None:
    assert container()["name"] == "kserve-container"
    assert container()["image"] == f"mlp-serving:{version()}"
    model = predictor()["model"]
    (served,) = runtime()["supportedModelFormats"]
    assert model["runtime"] == the("kserve", "ServingRuntime")["metadata"]["name"]
    assert model["modelFormat"]["name"] == served["name"]
    assert model["protocolVersion"] in runtime()["protocolVersions"]
    mode = the("kserve", "InferenceService")["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
    assert mode == "Standard"


def test_it_scales_as_the_autoscaler_of_base() -> None:
    scaler = the("cpu", "HorizontalPodAutoscaler")["spec"]
    (metric,) = scaler["metrics"]
    assert (predictor()["minReplicas"], predictor()["maxReplicas"]) == (scaler["minReplicas"], scaler["maxReplicas"])
    assert (predictor()["scaleMetric"], predictor()["scaleTarget"]) == (
        metric["resource"]["name"],
        metric["resource"]["target"]["averageUtilization"],
    )
