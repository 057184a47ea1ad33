"""The components that bring models: valid, restricted as the base is, in agreement with the service and its code."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.models import commands
from service.models.parser import parse
from service.settings import PREFIX, Settings
from tests.deploy.rendered import (
    DEPLOY,
    ROOT,
    Document,
    combined,
    image_models,
    kustomized,
    mebibytes,
    pod,
    server,
    version,
)
from training.cli import parser as train_parser

COMPONENTS = ("oci-models", "volume-models", "bucket-models")
# Where nothing is written beside the models: what the server has, as the base gives it.
RESTRICTED = server("cpu")["securityContext"]

every_component = pytest.mark.parametrize("component", COMPONENTS)


def document(component: str, kind: str, name: str) -> Document:
    """The document of this kind whose name begins so: that of a ConfigMap ends in a hash."""
    found = [
        each
        for each in combined(("overlays/cpu",), (component,))
        if each["kind"] == kind and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])
    ]
    (one,) = found
    return one


def spec_of(component: str) -> Document:
    """The specification of the servers' pods."""
    spec: Document = document(component, "Deployment", "mlp-serving")["spec"]["template"]["spec"]
    return spec


def settings_of(component: str) -> dict[str, str]:
    data: dict[str, str] = document(component, "ConfigMap", "mlp-serving-settings")["data"]
    return data


def the_server(component: str) -> Document:
    (container,) = spec_of(component)["containers"]
    return dict(container)


def job() -> Document:
    """The specification of the job that trains."""
    spec: Document = document("volume-models", "CronJob", "mlp-serving-train")["spec"]["jobTemplate"]["spec"]
    return spec


def init_containers() -> dict[str, Document]:
    return {each["name"]: each for each in spec_of("bucket-models")["initContainers"]}


@every_component
def test_every_field_is_in_the_schema_of_kubernetes(component: str) -> None:
    for each in combined(("overlays/cpu",), (component,)):
        kubernetes_validate.validate(each, "1.37", strict=True)


@every_component
def test_the_base_is_changed_where_models_come_from_and_nowhere_else(component: str) -> None:
    container, before = the_server(component), server("cpu")
    (mounted,) = [mount for mount in container["volumeMounts"] if mount not in before["volumeMounts"]]
    assert mounted == {"name": "models", "mountPath": image_models(), "readOnly": True}
    changed = {"volumeMounts", "envFrom"}
    assert {name: value for name, value in container.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }
    spec, spec_before = spec_of(component), pod("cpu")["spec"]
    assert [each["name"] for each in spec["volumes"]] == ["models", *(each["name"] for each in spec_before["volumes"])]
    changed = {"containers", "initContainers", "volumes"}
    assert {name: value for name, value in spec.items() if name not in changed} == {
        name: value for name, value in spec_before.items() if name not in changed
    }


@every_component
def test_every_variable_is_a_valid_setting(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of(component).items():
        monkeypatch.setenv(name, value)
    assert {name for name in settings_of(component) if name.startswith(PREFIX)} <= {
        f"{PREFIX}{name.upper()}" for name in Settings.model_fields
    }
    assert Settings().reload_interval_s == (0 if component == "oci-models" else 5)


def test_an_image_is_mounted_whose_tag_an_overlay_can_set() -> None:
    (volume,) = [each for each in spec_of("oci-models")["volumes"] if each["name"] == "models"]
    assert volume["image"] == {"reference": "mlp-serving-models:fashion-mnist-1", "pullPolicy": "IfNotPresent"}
    makefile = (ROOT / "Makefile").read_text()
    assert "mlp-serving-models:$$GIVEN_NAME-$$(ls" in makefile
    assert "COPY models/${NAME} /${NAME}\n" in (ROOT / "deploy" / "models" / "Containerfile").read_text()


def test_the_servers_read_the_claim_and_the_job_writes_it() -> None:
    claim = document("volume-models", "PersistentVolumeClaim", "mlp-serving-models")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    used = {"persistentVolumeClaim": {"claimName": "mlp-serving-models"}, "name": "models"}
    training = job()["template"]["spec"]
    assert used in spec_of("volume-models")["volumes"]
    assert used in training["volumes"]
    (container,) = training["containers"]
    assert {"name": "models", "mountPath": "/models"} in container["volumeMounts"]


def test_the_job_trains_and_publishes_into_the_claim() -> None:
    (container,) = job()["template"]["spec"]["containers"]
    program, *words = container["command"]
    assert program == "mlp-train"
    options = train_parser.parse(words)
    assert str(options.models) == "/models"
    assert "`mlp-train`" in (ROOT / "deploy" / "ray" / "README.md").read_text()
    assert container["image"] == f"mlp-serving-ray:{version()}"


def test_the_job_runs_alone_and_is_not_repeated_in_vain() -> None:
    schedule = document("volume-models", "CronJob", "mlp-serving-train")["spec"]
    assert (schedule["suspend"], schedule["concurrencyPolicy"]) == (True, "Forbid")
    (final,) = [each["onExitCodes"] for each in job()["podFailurePolicy"]["rules"] if each["action"] == "FailJob"]
    statuses = dict(re.findall(r"^\| (\d)[^|]*\| (.*) \|$", (ROOT / "docs" / "training.md").read_text(), re.MULTILINE))
    assert {status: statuses[str(status)][:15] for status in final["values"]} == {
        2: "an invalid opti",
        3: "[not published]",
    }


def test_no_request_reaches_the_job_and_it_reaches_nothing() -> None:
    labels = job()["template"]["metadata"]["labels"]
    service = document("volume-models", "Service", "mlp-serving")["spec"]["selector"]
    assert not service.items() <= labels.items()
    policy = document("volume-models", "NetworkPolicy", "mlp-serving-train")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy.keys() == {"podSelector", "policyTypes"}
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def test_the_job_is_as_restricted_as_the_servers() -> None:
    spec, servers = job()["template"]["spec"], pod("cpu")["spec"]
    for name in ("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"):
        assert spec[name] == servers[name]
    context, theirs = spec["securityContext"], servers["securityContext"]
    assert context | {"runAsUser": 0, "runAsGroup": 0} == theirs | {"runAsUser": 0, "runAsGroup": 0}
    user = f"USER {context['runAsUser']}:{context['runAsGroup']}\n"
    assert user in (ROOT / "deploy" / "ray" / "Dockerfile").read_text()
    (container,) = spec["containers"]
    assert container["securityContext"] == RESTRICTED
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", ["pull-models", "sync-models"])
def test_models_are_pulled_into_the_folder_that_the_server_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    container = init_containers()[name]
    source = settings_of("bucket-models")["MODELS_SOURCE"]
    program, *words = [word.replace("$(MODELS_SOURCE)", source) for word in container["command"]]
    assert program == "mlp-models"
    assert 'mlp-models = "service.models.__main__:main"' in (ROOT / "pyproject.toml").read_text()
    command, options = parse(words, commands.COMMANDS, {})
    assert (command.name, options.source, options.prune) == ("pull", source, True)
    assert (options.sync, options.interval_s) == ((True, 30) if name == "sync-models" else (False, 30))
    for variable in (
        *settings_of("bucket-models").items(),
        *((each["name"], each["value"]) for each in container["env"]),
    ):
        monkeypatch.setenv(*variable)
    assert (options.models, Settings().provider) == (None, "cpu")
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["models"] == {"name": "models", "mountPath": image_models()}
    assert mounts["tmp"] in server("cpu")["volumeMounts"]


def test_the_side_car_starts_after_the_first_pull_and_before_the_server() -> None:
    assert [(name, each.get("restartPolicy")) for name, each in init_containers().items()] == [
        ("pull-models", None),
        ("sync-models", "Always"),
    ]


@pytest.mark.parametrize("name", ["pull-models", "sync-models"])
def test_what_pulls_is_restricted_and_runs_the_image_of_the_server(name: str) -> None:
    container = init_containers()[name]
    assert container["securityContext"] == RESTRICTED
    assert container["image"] == the_server("bucket-models")["image"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    assert {"secretRef": {"name": "mlp-serving-bucket", "optional": True}} in container["envFrom"]
    assert the_server("bucket-models")["envFrom"] == [
        {"configMapRef": {"name": document("bucket-models", "ConfigMap", "mlp-serving-settings")["metadata"]["name"]}}
    ]


def test_pulled_models_are_on_the_node_and_bounded() -> None:
    (volume,) = [each for each in spec_of("bucket-models")["volumes"] if each["name"] == "models"]
    assert volume["emptyDir"].keys() == {"sizeLimit"}
    assert mebibytes(volume["emptyDir"]["sizeLimit"]) >= 3 * 1024


def test_pods_reach_names_and_https_outside_private_networks() -> None:
    policy = document("bucket-models", "NetworkPolicy", "mlp-serving-bucket")["spec"]
    labels = pod("cpu")["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Egress"]  # what comes in, the base decides
    dns, https = policy["egress"]
    assert {(each["port"], each["protocol"]) for each in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert https["ports"] == [{"port": 443, "protocol": "TCP"}]
    excepted: list[Any] = [network for each in https["to"] for network in each["ipBlock"]["except"]]
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} <= {*excepted}


@pytest.mark.parametrize(
    ("extra", "packages"),
    [
        ("remote", {"s3fs", "gcsfs", "fsspec"}),
        ("tracing", {"opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk"}),
    ],
)
def test_the_image_can_be_built_with_an_extra(extra: str, packages: set[str]) -> None:
    locked = (ROOT / "deploy" / "image" / f"requirements-{extra}.txt").read_text()
    assert packages <= set(re.findall(r"^([\w.-]+)==", locked, re.MULTILINE))
    both = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", locked, re.MULTILINE))
    server_has = (ROOT / "deploy" / "image" / "requirements-cpu.txt").read_text()
    for name, found in re.findall(r"^([\w.-]+)==([^\s;]+)", server_has, re.MULTILINE):
        assert both.get(name, found) == found
    assert '${EXTRAS:+-r "requirements-${EXTRAS}.txt"}' in (ROOT / "Dockerfile").read_text()


def test_every_command_of_the_manifests_is_in_the_makefile() -> None:
    folder = Path(ROOT, "deploy")
    text = "".join(path.read_text() for path in (folder / "components").glob("*-models/*.yaml"))
    text += (folder / "models" / "Containerfile").read_text()
    named = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert named == {"image", "model-image"}
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert shlex.split("make image EXTRAS=remote")[2] in text


def test_the_overlays_of_the_page_render(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "model-delivery.md").read_text()
    overlay, *additions = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    for component, added in (("oci-models", {}), *(("bucket-models", each) for each in additions)):
        overlay["resources"] = [os.path.relpath(DEPLOY / "overlays" / "cpu", tmp_path)]
        overlay["components"] = [os.path.relpath(DEPLOY / "components" / component, tmp_path)]
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay | added))
        text = yaml.safe_dump_all(kustomized(tmp_path))
        for value in ("registry.example/mlp-serving-models:flats-3",) if component == "oci-models" else leaves(added):
            assert value in text


def leaves(addition: Document) -> list[str]:
    """What a part of an overlay brings in: its settings, or its annotation."""
    if "patches" in addition:
        (patch,) = addition["patches"]
        return list(yaml.safe_load(patch["patch"])[0]["value"].values())
    return [value.partition("=")[2] for value in addition["configMapGenerator"][0]["literals"]]
