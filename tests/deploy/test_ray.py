"""The Ray jobs as a cluster would get them: minimal checks, without the schema of KubeRay's operator.

Pods are checked against the schema of Kubernetes, commands by the programs' own parsers, and what has to agree.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from typing import Any

import kubernetes_validate
import pytest

from service.scoring import command as score_command
from tests.deploy.rendered import DEPLOY, ROOT, Document, kustomized, mebibytes, version
from training.cli import parser as train_parser

JOBS = ("train", "score")

every_job = pytest.mark.parametrize("name", JOBS)


@cache
def rendered(name: str) -> dict[str, Document]:
    """The documents of a job, by kind."""
    return {document["kind"]: document for document in kustomized(DEPLOY / "ray" / name)}


def job(name: str) -> Document:
    spec: Document = rendered(name)["RayJob"]["spec"]
    return spec


def pods(name: str) -> dict[str, Document]:
    """The pod templates of a job, by the name of their container."""
    cluster = job(name)["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    templates = [job(name)["submitterPodTemplate"], cluster["headGroupSpec"]["template"], workers["template"]]
    return {template["spec"]["containers"][0]["name"]: template for template in templates}


def option(name: str, flag: str) -> Any:
    words = shlex.split(job(name)["entrypoint"])
    return words[words.index(flag) + 1]


@every_job
def test_the_job_is_of_kuberay_and_ends_with_its_cluster(name: str) -> None:
    document = rendered(name)["RayJob"]
    assert (document["apiVersion"], document["metadata"]["name"]) == ("ray.io/v1", f"mlp-{name}")
    assert job(name)["shutdownAfterJobFinishes"] is True
    assert set(rendered(name)) == {"RayJob", "ServiceAccount", "NetworkPolicy"}


@every_job
def test_pods_and_other_documents_are_in_the_schema_of_kubernetes(name: str) -> None:
    documents = [document for kind, document in rendered(name).items() if kind != "RayJob"]
    for title, template in pods(name).items():
        documents.append({"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": title}})
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)


@every_job
@pytest.mark.parametrize("title", ["submitter", "head", "worker"])
def test_pods_are_hardened_as_those_of_the_server(name: str, title: str) -> None:
    spec = pods(name)[title]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == rendered(name)["ServiceAccount"]["metadata"]["name"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    limits = container["resources"]["limits"]
    assert limits["memory"] == container["resources"]["requests"]["memory"]
    assert container["image"] == f"mlp-serving-ray:{version()}"
    assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


@every_job
def test_the_policy_selects_all_pods_and_admits_them(name: str) -> None:
    policy = rendered(name)["NetworkPolicy"]["spec"]
    selected = policy["podSelector"]["matchLabels"]
    for template in pods(name).values():
        assert template["metadata"]["labels"].items() >= selected.items()
    assert policy["ingress"][0] == {"from": [{"podSelector": {"matchLabels": selected}}]}


@every_job
def test_there_are_more_logical_cpus_than_workers(name: str) -> None:
    (workers,) = job(name)["rayClusterSpec"]["workerGroupSpecs"]
    cpus = workers["replicas"] * int(pods(name)["worker"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert int(option(name, "--ray-workers")) + 1 < cpus
    store = next(each for each in pods(name)["worker"]["spec"]["volumes"] if each["name"] == "shm")
    memory = pods(name)["worker"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert mebibytes(store["emptyDir"]["sizeLimit"]) < mebibytes(memory) / 2


def test_commands_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    program, *words = shlex.split(job("train")["entrypoint"])
    cluster = train_parser.parse(words).cluster
    assert program == "mlp-train"
    assert cluster is not None
    assert (cluster.address, cluster.storage) == ("auto", "/data/checkpoints")
    program, *words = shlex.split(job("score")["entrypoint"])
    assert program == score_command.PROGRAM
    assert score_command.parser().parse_args(words).ray == "auto"


def test_the_version_of_ray_is_the_one_that_is_locked() -> None:
    (locked,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert {job(name)["rayClusterSpec"]["rayVersion"] for name in JOBS} == {locked}
    assert f"rayproject/ray:{locked}-py311\n" in (DEPLOY / "ray/Dockerfile").read_text()
