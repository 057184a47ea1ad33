"""The manifests run by podman: start, predictions, a changed setting, removal, and models from a volume."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.deploy.engine import check_predictions, engine, free_port, wait_for
from tests.deploy.rendered import DEPLOY, Document, combined, kustomized, server
from tests.service.published import publish

pytestmark = [pytest.mark.play, pytest.mark.timeout(300)]

# What `podman play kube` supports.
PLAYED = {"ConfigMap", "Deployment"}
FROM_A_VOLUME = combined(("overlays/cpu",), ("volume-models",))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Path]:
    """A file for the documents, whose pod is removed after the test."""
    file = tmp_path / "played.yaml"
    yield file
    if engine("pod", "ls", "--quiet", "--filter", "name=mlp-serving-pod-0"):
        engine("play", "kube", "--down", file)


@pytest.fixture
def models_volume(tmp_path: Path) -> Iterator[None]:
    """A volume for the claim, with a model that is not in the image."""
    (claim,) = (each["metadata"]["name"] for each in FROM_A_VOLUME if each["kind"] == "PersistentVolumeClaim")
    publish(tmp_path / "models", "small")
    with tarfile.open(tmp_path / "models.tar", "w") as archive:
        archive.add(tmp_path / "models", ".")
    engine("volume", "create", claim)
    engine("volume", "import", claim, tmp_path / "models.tar")
    yield
    engine("volume", "rm", claim)


def write(file: Path, documents: tuple[Document, ...], port: int) -> None:
    """Write the documents with a host port, as there is no Service."""
    played = [document for document in documents if document["kind"] in PLAYED]
    for document in played:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"] = port
    file.write_text(yaml.safe_dump_all(played))


def with_setting(folder: Path, setting: str) -> tuple[Document, ...]:
    """An overlay of the cpu overlay with one more setting."""
    folder.mkdir()
    kustomization = {
        "resources": [os.path.relpath(DEPLOY / "overlays" / "cpu", folder)],
        "configMapGenerator": [{"name": "mlp-serving-settings", "behavior": "merge", "literals": [setting]}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return kustomized(folder)


def wait_until_ready(port: int) -> float:
    """Seconds until the startup probe and then the readiness probe succeed."""
    return wait_for(port, server("cpu")["startupProbe"]) + wait_for(port, server("cpu")["readinessProbe"])


def test_start_predictions_changed_setting_and_removal(manifest: Path, port: int, tmp_path: Path) -> None:
    write(manifest, kustomized(DEPLOY / "overlays" / "cpu"), port)
    engine("play", "kube", manifest)
    print(f"\nready after {wait_until_ready(port):.1f} s")
    check_predictions(port)
    two_rows = {"inputs": [[0] * 784] * 2}
    assert httpx.post(f"http://127.0.0.1:{port}/predict", json=two_rows).status_code == 200

    write(manifest, with_setting(tmp_path / "changed", "MLP_MAX_REQUEST_ROWS=1"), port)
    engine("play", "kube", "--replace", manifest)
    print(f"ready with the new setting after {wait_until_ready(port):.1f} s")
    assert httpx.post(f"http://127.0.0.1:{port}/predict", json=two_rows).status_code == 422

    engine("play", "kube", "--down", manifest)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health/ready")


@pytest.mark.usefixtures("models_volume")
def test_models_of_the_volume_are_served(manifest: Path, port: int) -> None:
    write(manifest, FROM_A_VOLUME, port)
    engine("play", "kube", manifest)
    wait_until_ready(port)
    listed = httpx.get(f"http://127.0.0.1:{port}/models").json()["models"]
    assert [(each["name"], each["version"]) for each in listed] == [("small", 1)]
    engine("play", "kube", "--down", manifest)
