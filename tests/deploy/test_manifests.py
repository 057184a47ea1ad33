"""Each overlay as a cluster would get it: valid, consistent, and in agreement with the service's code."""

from __future__ import annotations

import re

import pytest

from service import server as serving
from service import workers
from service.settings import PREFIX, Settings
from tests.deploy.rendered import (
    OVERLAYS,
    ROOT,
    SERVING,
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
from tests.deploy.schemas import validate

NAME = {"app.kubernetes.io/name": "mlp-serving"}

serving_overlays = pytest.mark.parametrize("overlay", SERVING)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@every_overlay
def test_every_field_is_in_its_published_schema(overlay: str) -> None:
    for document in render(overlay):
        validate(document)


@every_overlay
def test_documents_have_name_and_version_labels_and_no_namespace(overlay: str) -> None:
    for document in render(overlay):
        metadata, kind = document["metadata"], document["kind"]
        assert "namespace" not in metadata
        assert metadata["labels"]["app.kubernetes.io/name"] in {"mlp-serving", "mlp-serving-candidate"}, kind
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
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in pod(overlay)["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert selectors == [NAME] * len(selectors)
    assert labels.items() >= NAME.items()
    (monitored,) = the("monitoring", "PodMonitor")["spec"]["selector"]["matchExpressions"]
    assert (monitored["key"], monitored["operator"]) == ("app.kubernetes.io/name", "In")
    assert labels[monitored["key"]] in monitored["values"]


def test_metrics_have_the_version_of_the_pods() -> None:
    (label,) = the("monitoring", "PodMonitor")["spec"]["podTargetLabels"]
    assert pod("cpu")["metadata"]["labels"][label] == version()


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
    given = {name: value for name, value in variables(overlay).items() if name != "CUDA_CACHE_PATH"}
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
    assert "egress" not in policy  # the cluster drops an empty list, and each diff would show it


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


@serving_overlays
def test_a_rollout_may_take_as_long_as_a_pull_and_a_start(overlay: str) -> None:
    probe = server(overlay)["startupProbe"]
    pull_s = 3e9 / 10e6 if overlay == "gpu" else 60  # gigabytes of libraries at 10 MB/s
    started_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert the(overlay, "Deployment")["spec"]["progressDeadlineSeconds"] >= started_s + pull_s


@serving_overlays
def test_no_request_waits_for_much_longer_than_the_objective(overlay: str) -> None:
    assert 0.1 <= float(variables(overlay)["MLP_MAX_QUEUE_S"]) <= 0.25
