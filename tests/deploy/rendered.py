"""The overlays as kubectl renders them for a cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = sorted(folder.name for folder in (DEPLOY / "overlays").iterdir())
# Those that run the service; the others monitor it.
SERVING = [name for name in OVERLAYS if name != "monitoring"]
KUBECTL = Path(sys.executable).parent / "kubectl"

Document = dict[str, Any]


@cache
def render(overlay: str) -> tuple[Document, ...]:
    """All documents of ``deploy/overlays/<overlay>``."""
    return kustomized(DEPLOY / "overlays" / overlay)


@cache
def combined(resources: tuple[str, ...], components: tuple[str, ...]) -> tuple[Document, ...]:
    """All documents of an overlay of one's own: folders of ``deploy/`` and names of components, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        kustomization = {
            "resources": [os.path.relpath(DEPLOY / each, folder) for each in resources],
            "components": [os.path.relpath(DEPLOY / "components" / each, folder) for each in components],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return kustomized(Path(folder))


def kustomized(folder: Path) -> tuple[Document, ...]:
    """All documents that kubectl renders from a folder with a kustomization."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def the(overlay: str, kind: str) -> Document:
    """The one document of that kind."""
    return only(render(overlay), kind)


def only(documents: tuple[Document, ...], kind: str, name: str | None = None) -> Document:
    """The one document of that kind, or of that kind and name."""
    found = [each for each in documents if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    (document,) = found
    return document


def pod(overlay: str) -> Document:
    """The pod template of the overlay's Deployment: its ``metadata`` and ``spec``."""
    template: Document = the(overlay, "Deployment")["spec"]["template"]
    return template


def server(overlay: str) -> Document:
    """The only container of the pod."""
    (container,) = pod(overlay)["spec"]["containers"]
    return dict(container)


def variables(overlay: str) -> dict[str, str]:
    """The environment of the pod's container: the variables of the image, the ConfigMap and the container."""
    container = server(overlay)
    (source,) = container["envFrom"]
    settings = the(overlay, "ConfigMap")
    assert source == {"configMapRef": {"name": settings["metadata"]["name"]}}
    container_variables = {variable["name"]: _value(variable, container) for variable in container["env"]}
    return image_variables() | settings["data"] | container_variables


def image_port() -> int:
    """The port that the image listens on."""
    return int(Settings.model_fields["port"].default)


def image_models() -> str:
    """The folder of models in the image."""
    assert "\nWORKDIR /\n" in (ROOT / "Dockerfile").read_text()
    return f"/{Settings.model_fields['models'].default}"


def image_variables() -> dict[str, str]:
    """The MLP_* variables that the image sets."""
    return dict(re.findall(r"\b(MLP_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))


def image_command() -> list[str]:
    """The command of the image, which the pod runs."""
    (command,) = re.findall(r"^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    words: list[str] = json.loads(command)
    return words


def mebibytes(quantity: str) -> float:
    """A quantity of memory in one of the two units of the manifests."""
    return float(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def version() -> str:
    """The project's version."""
    (found,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(found)


def _value(variable: Document, container: Document) -> str:
    if "value" in variable:
        return str(variable["value"])
    field = variable["valueFrom"]["resourceFieldRef"]
    assert field == {"containerName": container["name"], "resource": "limits.cpu", "divisor": "1"}
    return str(container["resources"]["limits"]["cpu"])
