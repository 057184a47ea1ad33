"""Each overlay as a cluster would get it: valid, consistent, and in agreement with the service's code."""

from __future__ import annotations

import importlib
import re

import kubernetes_validate
import pytest

from service import server as serving
from service import workers
from service.settings import PREFIX, Settings
from tests.deploy.rendered import (
    OVERLAYS,
    ROOT,
    SERVING,
    Document,
    image_command,
    image_models,
    image_port,
    mebibytes,
    pod,
    render,
    server,
    the,
    variables,
    version,
)

OPERATOR = "monitoring.coreos.com/"
NAME = {"app.kubernetes.io/name": "mlp-serving"}

serving_overlays = pytest.mark.parametrize("overlay", SERVING)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@every_overlay
def test_every_field_is_in_the_schema_of_kubernetes(overlay: str) -> None:
    for document in render(overlay):
        if not document["apiVersion"].startswith(OPERATOR):
            kubernetes_validate.validate(document, "1.37", strict=True)


def known_to_the_operator(document: Document) -> Document:
    """The document without the fields that its published schema does not have."""
    models = importlib.import_module("cloudcoil.models.prometheus_operator.v1")  # takes two seconds
    read = getattr(models, document["kind"]).model_validate(document)
    known: Document = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return known


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_every_field_is_in_the_schema_of_the_operator(kind: str) -> None:
    document = the("monitoring", kind)
    assert known_to_the_operator(document) == document


@every_overlay
def test_documents_have_name_and_version_labels_and_no_namespace(overlay: str) -> None:
    for document in render(overlay):
        metadata, kind = document["metadata"], document["kind"]
        assert "namespace" not in metadata
        assert metadata["labels"].items() >= NAME.items(), kind
        # A claim outlives the versions that use it.
        assert kind == "PersistentVolumeClaim" or metadata["labels"]["app.kubernetes.io/version"] == version(), kind


@serving_overlays
def test_every_selector_matches_the_pods(overlay: str) -> None:
    labels = pod(overlay)["metadata"]["labels"]
    deployment, budget = the(overlay, "Deployment"), the(overlay, "PodDisruptionBudget")
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        the(overlay, "Service")["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        the(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        the("monitoring", "PodMonitor")["spec"]["selector"]["matchLabels"],
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in pod(overlay)["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert selectors == [NAME] * len(selectors)
    assert labels.items() >= NAME.items()


@serving_overlays
def test_every_port_is_that_of_the_image(overlay: str) -> None:
    container = server(overlay)
    port = image_port()
    (policy,) = the(overlay, "NetworkPolicy")["spec"]["ingress"]
    (service_port,) = the(overlay, "Service")["spec"]["ports"]
    (endpoint,) = the("monitoring", "PodMonitor")["spec"]["podMetricsEndpoints"]
    annotations = pod(overlay)["metadata"]["annotations"]
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert f"EXPOSE {port}\n" in (ROOT / "Dockerfile").read_text()
    assert [service_port["targetPort"], endpoint["port"], policy["ports"][0]["port"]] == ["http"] * 3
    assert (annotations["prometheus.io/port"], annotations["prometheus.io/path"]) == (str(port), endpoint["path"])


@serving_overlays
def test_every_variable_is_a_valid_setting(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables(overlay)
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.models.as_posix() == image_models().removeprefix("/")
    assert settings.provider == ("cuda" if overlay == "gpu" else "cpu")


@serving_overlays
def test_the_page_is_switched_off(overlay: str) -> None:
    assert variables(overlay)["MLP_PAGE"] == "false"


@serving_overlays
def test_workers_equal_the_cpu_limit_or_one_with_a_gpu(overlay: str) -> None:
    limits = server(overlay)["resources"]["limits"]
    gpus = int(limits.get("nvidia.com/gpu", 0))
    assert gpus == (1 if overlay == "gpu" else 0)
    assert variables(overlay)["MLP_WORKERS"] == ("1" if gpus else limits["cpu"])


@serving_overlays
def test_the_memory_request_equals_the_limit(overlay: str) -> None:
    resources = server(overlay)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


@serving_overlays
def test_the_grace_period_covers_pause_drain_and_kill(overlay: str) -> None:
    pause_s = server(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_s = int(variables(overlay)["MLP_DRAIN_TIMEOUT_S"])
    longest_s = pause_s + drain_s + serving.LINGER_S + workers._KILL_MARGIN_S
    assert longest_s < pod(overlay)["spec"]["terminationGracePeriodSeconds"]


@serving_overlays
def test_rollouts_remove_no_replica_and_disruptions_one(overlay: str) -> None:
    strategy = the(overlay, "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert the(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@serving_overlays
def test_only_the_autoscaler_sets_the_replicas(overlay: str) -> None:
    deployment, scaler = the(overlay, "Deployment"), the(overlay, "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


@serving_overlays
def test_the_pod_has_minimal_permissions(overlay: str) -> None:
    """The `restricted` pod security standard, a read-only root, no token, and no egress."""
    spec, container = pod(overlay)["spec"], server(overlay)
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == the(overlay, "ServiceAccount")["metadata"]["name"]
    assert the(overlay, "ServiceAccount")["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    policy = the(overlay, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []


@serving_overlays
def test_the_user_is_that_of_the_image(overlay: str) -> None:
    context = pod(overlay)["spec"]["securityContext"]
    user = f"USER {context['runAsUser']}:{context['runAsGroup']}\n"
    assert user in (ROOT / "Dockerfile").read_text()


@serving_overlays
def test_the_image_has_this_version_and_its_own_command(overlay: str) -> None:
    container = server(overlay)
    assert container["image"] == f"mlp-serving:{version()}{'-gpu' if overlay == 'gpu' else ''}"
    assert "TAG     ?= mlp-serving:$(VERSION)$(if $(filter gpu,$(RUNTIME)),-gpu)" in (ROOT / "Makefile").read_text()
    assert not container.keys() & {"command", "args"}
    assert image_command() == ["python", "-m", "service"]


@serving_overlays
def test_files_are_in_memory_within_the_limit(overlay: str) -> None:
    (tmp,) = [volume["emptyDir"] for volume in pod(overlay)["spec"]["volumes"] if volume["name"] == "tmp"]
    assert tmp["medium"] == "Memory"
    assert mebibytes(tmp["sizeLimit"]) * 4 < mebibytes(server(overlay)["resources"]["limits"]["memory"])


def test_a_changed_setting_is_a_new_config_map() -> None:
    names = {overlay: the(overlay, "ConfigMap")["metadata"]["name"] for overlay in ("cpu", "gpu")}
    assert all(re.fullmatch(r"mlp-serving-settings-[a-z0-9]{10}", name) for name in names.values())
    assert names["cpu"] != names["gpu"]


def test_a_misspelt_field_is_detected() -> None:
    service = the("cpu", "Service")
    service |= {"spec": service["spec"] | {"internalTraficPolicy": "Cluster"}}
    with pytest.raises(kubernetes_validate.ValidationError, match="internalTraficPolicy"):
        kubernetes_validate.validate(service, "1.37", strict=True)
    monitor = the("monitoring", "PodMonitor")
    monitor |= {"spec": monitor["spec"] | {"scrapeTimout": "5s"}}
    assert known_to_the_operator(monitor) != monitor
