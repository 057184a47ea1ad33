"""Each overlay as a cluster would get it: valid, of one piece, and what the service's own code expects."""

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
    image_variables,
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
def test_kubernetes_knows_every_field(overlay: str) -> None:
    for document in render(overlay):
        if not document["apiVersion"].startswith(OPERATOR):
            kubernetes_validate.validate(document, "1.37", strict=True)


def known_to_the_operator(document: Document) -> Document:
    """The document as its published schema has it: without the fields that it does not have."""
    models = importlib.import_module("cloudcoil.models.prometheus_operator.v1")  # takes two seconds
    read = getattr(models, document["kind"]).model_validate(document)
    known: Document = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return known


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_the_operator_knows_every_field(kind: str) -> None:
    document = the("monitoring", kind)
    assert known_to_the_operator(document) == document


@every_overlay
def test_nothing_names_a_namespace_and_everything_its_name_and_version(overlay: str) -> None:
    for document in render(overlay):
        metadata, kind = document["metadata"], document["kind"]
        assert "namespace" not in metadata
        assert metadata["labels"].items() >= NAME.items(), kind
        # A claim outlives the versions that read it.
        assert kind == "PersistentVolumeClaim" or metadata["labels"]["app.kubernetes.io/version"] == version(), kind


@serving_overlays
def test_every_selector_means_these_pods_and_no_others(overlay: str) -> None:
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
def test_every_port_is_the_one_that_the_image_listens_on(overlay: str) -> None:
    container = server(overlay)
    port = int(image_variables()["MLP_PORT"])
    (policy,) = the(overlay, "NetworkPolicy")["spec"]["ingress"]
    (service_port,) = the(overlay, "Service")["spec"]["ports"]
    (endpoint,) = the("monitoring", "PodMonitor")["spec"]["podMetricsEndpoints"]
    annotations = pod(overlay)["metadata"]["annotations"]
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert f"EXPOSE {port}\n" in (ROOT / "Dockerfile").read_text()
    assert [service_port["targetPort"], endpoint["port"], policy["ports"][0]["port"]] == ["http"] * 3
    assert (annotations["prometheus.io/port"], annotations["prometheus.io/path"]) == (str(port), endpoint["path"])


@serving_overlays
def test_every_variable_is_an_option_with_a_value_it_takes(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables(overlay)
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.models.as_posix() == "/models"
    assert settings.provider == ("cuda" if overlay == "gpu" else "cpu")


@serving_overlays
def test_workers_are_what_the_cpu_limit_allows_and_one_where_there_is_a_gpu(overlay: str) -> None:
    limits = server(overlay)["resources"]["limits"]
    gpus = int(limits.get("nvidia.com/gpu", 0))
    assert gpus == (1 if overlay == "gpu" else 0)
    assert variables(overlay)["MLP_WORKERS"] == ("1" if gpus else limits["cpu"])


@serving_overlays
def test_memory_is_requested_whole(overlay: str) -> None:
    resources = server(overlay)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


@serving_overlays
def test_the_grace_period_is_longer_than_all_that_happens_in_it(overlay: str) -> None:
    pause_s = server(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_s = int(variables(overlay)["MLP_DRAIN_TIMEOUT_S"])
    longest_s = pause_s + drain_s + serving.LINGER_S + workers._KILL_MARGIN_S
    assert longest_s < pod(overlay)["spec"]["terminationGracePeriodSeconds"]


@serving_overlays
def test_a_rollout_takes_no_replica_away_and_a_node_only_one(overlay: str) -> None:
    strategy = the(overlay, "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert the(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@serving_overlays
def test_the_autoscaler_alone_counts_the_replicas(overlay: str) -> None:
    deployment, scaler = the(overlay, "Deployment"), the(overlay, "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


@serving_overlays
def test_the_pod_may_do_nothing_but_serve(overlay: str) -> None:
    """The `restricted` pod security standard, a root that cannot be written, no token, and nobody to talk to."""
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
def test_the_user_is_the_image_s(overlay: str) -> None:
    context = pod(overlay)["spec"]["securityContext"]
    user = f"USER {context['runAsUser']}:{context['runAsGroup']}\n"
    assert user in (ROOT / "Dockerfile").read_text()


@serving_overlays
def test_the_image_is_of_this_version_and_runs_its_own_command(overlay: str) -> None:
    container = server(overlay)
    assert container["image"] == f"mlp-serving:{version()}{'-gpu' if overlay == 'gpu' else ''}"
    assert "TAG     ?= mlp-serving:$(VERSION)$(if $(filter gpu,$(RUNTIME)),-gpu)" in (ROOT / "Makefile").read_text()
    assert not container.keys() & {"command", "args"}
    assert image_command() == ["python", "-m", "service"]


@serving_overlays
def test_what_is_written_goes_to_memory_that_the_limit_covers(overlay: str) -> None:
    (tmp,) = [volume["emptyDir"] for volume in pod(overlay)["spec"]["volumes"] if volume["name"] == "tmp"]
    assert tmp["medium"] == "Memory"
    assert mebibytes(tmp["sizeLimit"]) * 4 < mebibytes(server(overlay)["resources"]["limits"]["memory"])


def test_the_volume_with_models_is_mounted_where_the_server_looks_and_cannot_be_written() -> None:
    claim = the("pvc-models", "PersistentVolumeClaim")["metadata"]["name"]
    volumes = {volume["name"]: volume for volume in pod("pvc-models")["spec"]["volumes"]}
    mounts = {mount["name"]: mount for mount in server("pvc-models")["volumeMounts"]}
    assert volumes["models"]["persistentVolumeClaim"] == {"claimName": claim}
    assert mounts["models"] == {"name": "models", "mountPath": image_variables()["MLP_MODELS"], "readOnly": True}


def test_a_changed_setting_is_a_new_config_map_and_so_a_rollout() -> None:
    names = {overlay: the(overlay, "ConfigMap")["metadata"]["name"] for overlay in ("cpu", "gpu")}
    assert all(re.fullmatch(r"mlp-serving-settings-[a-z0-9]{10}", name) for name in names.values())
    assert names["cpu"] != names["gpu"]


def test_a_misspelt_field_is_found() -> None:
    service = the("cpu", "Service")
    service |= {"spec": service["spec"] | {"internalTraficPolicy": "Cluster"}}
    with pytest.raises(kubernetes_validate.ValidationError, match="internalTraficPolicy"):
        kubernetes_validate.validate(service, "1.37", strict=True)
    monitor = the("monitoring", "PodMonitor")
    monitor |= {"spec": monitor["spec"] | {"scrapeTimout": "5s"}}
    assert known_to_the_operator(monitor) != monitor
