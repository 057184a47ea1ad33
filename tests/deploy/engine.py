"""Docker or podman, as given to `make`, and the options to run a container as the pod's node would."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np

from service import artifact
from tests.deploy.rendered import ROOT, Document, mebibytes, pod, server, variables
from tests.service.running import PATIENCE_S

_POLL_S = 0.05


def engine(*arguments: str | Path) -> str:
    """Run the container engine; returns its output."""
    done = subprocess.run([*_named("CONTAINER"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout.strip()


def image() -> str:
    """The name of the image that was built."""
    return " ".join(_named("IMAGE"))


def base_image() -> str:
    """The name of the image that it was built on."""
    return " ".join(_named("BASE_IMAGE"))


def inspected(name: str) -> Document:
    """The engine's description of an image or a container."""
    (found,) = json.loads(engine("inspect", name))
    return dict(found)


def as_the_pod(overlay: str) -> list[str]:
    """The engine's options for the overlay's security context, limits, volumes and environment."""
    pod_context, context = pod(overlay)["spec"]["securityContext"], server(overlay)["securityContext"]
    limits = server(overlay)["resources"]["limits"]
    (mount,) = server(overlay)["volumeMounts"]
    (volume,) = pod(overlay)["spec"]["volumes"]
    assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
    assert pod_context["seccompProfile"] == {"type": "RuntimeDefault"}  # the engine's default, too
    memory_mib = f"{mebibytes(limits['memory']):.0f}m"
    return [
        "--read-only",
        *("--security-opt", "no-new-privileges"),
        *("--user", f"{pod_context['runAsUser']}:{pod_context['runAsGroup']}"),
        *(word for capability in context["capabilities"]["drop"] for word in ("--cap-drop", capability)),
        *("--memory", memory_mib, "--memory-swap", memory_mib, "--cpus", limits["cpu"]),
        *("--tmpfs", f"{mount['mountPath']}:size={mebibytes(volume['emptyDir']['sizeLimit']):.0f}m"),
        *(word for name, value in variables(overlay).items() for word in ("--env", f"{name}={value}")),
    ]


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, probe: Document) -> float:
    """Seconds until the probe succeeds."""
    started = time.monotonic()
    while time.monotonic() < started + PATIENCE_S:
        try:
            if httpx.get(f"http://127.0.0.1:{port}{probe['httpGet']['path']}").status_code == 200:
                return time.monotonic() - started
        except httpx.TransportError:
            pass
        time.sleep(_POLL_S)
    raise AssertionError(f"{probe['httpGet']['path']} does not respond with 200")


def check_predictions(port: int) -> None:
    """The server predicts the golden labels of the checkout's newest Fashion-MNIST model."""
    name = "fashion-mnist"
    folder = ROOT / "models" / name / str(artifact.versions(ROOT / "models" / name)[-1])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
        model = client.get(f"/models/{name}").json()
        with np.load(folder / artifact.GOLDEN, allow_pickle=False) as golden:
            rows = golden["inputs"].tolist()
            expected = golden["prediction" if model["precision"] == "fp32" else "int8_prediction"].tolist()
        response = client.post(f"/models/{name}/predict", json={"inputs": rows}).json()
    assert model["version"] == int(folder.name)
    assert response["predictions"] == [model["labels"][index] for index in expected]


def _named(variable: str) -> list[str]:
    value = os.environ.get(variable)
    assert value, f"{variable} is not set: run make image-test or make deploy-test"
    return shlex.split(value)
