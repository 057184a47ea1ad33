"""The image, run as the pod runs it: its contents, its permissions, its responses, and SIGTERM under load."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.deploy.engine import (
    as_the_pod,
    base_image,
    check_predictions,
    engine,
    free_port,
    image,
    inspected,
    wait_for,
)
from tests.deploy.load import Load
from tests.deploy.rendered import DEPLOY, ROOT, image_port, pod, server, variables, version
from tests.service.running import post

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]

LARGEST_BYTES = 300e6
CLIENTS = 16
LOAD_S = 3.0


@pytest.fixture
def container() -> Iterator[tuple[str, int]]:
    """The id and the local port of a container of the image, with the restrictions of the pod's manifest."""
    port = free_port()
    publish = ["--publish", f"127.0.0.1:{port}:{image_port()}"]
    identity = engine("run", "--detach", *as_the_pod("cpu"), *publish, image())
    try:
        ready_s = wait_for(port, server("cpu")["startupProbe"])
        print(f"\nready {ready_s:.1f} s after the container was started")
        yield identity, port
    finally:
        engine("rm", "--force", identity)


def test_it_adds_little_to_its_base_and_has_labels() -> None:
    built, base = inspected(image()), inspected(base_image())
    added = built["Size"] - base["Size"]
    print(
        f"\n{base['Size'] / 1e6:.0f} MB of base image, {built['Size'] / 1e6:.0f} MB in all: {added / 1e6:.0f} MB added"
    )
    assert added <= LARGEST_BYTES
    labels = built["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == version()
    assert labels["org.opencontainers.image.base.name"] == base_image()
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])


def test_it_has_the_locked_packages_and_no_build_tools(container: tuple[str, int]) -> None:
    identity, _ = container
    bill = json.loads(engine("exec", identity, "cat", "/opt/mlp-serving/sbom.cdx.json"))
    locked = re.findall(r"^(\S+)==([^\s;]+)", (DEPLOY / "image" / "requirements-cpu.txt").read_text(), re.MULTILINE)
    listed = {(part["name"].lower().replace("_", "-"), part["version"]) for part in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "mlp-serving"
    assert listed - {("mlp-serving", version())} <= set(locked)
    assert {"onnxruntime", "fastapi", "uvicorn", "numpy"} <= {name for name, _ in listed}
    debian = json.loads(engine("exec", identity, "cat", "/opt/mlp-serving/debian.cdx.json"))
    assert {"base-files", "libc6"} <= {part["name"] for part in debian["components"]}
    found = "import shutil, importlib.util as u; print([*filter(shutil.which, ['gcc', 'cc', 'clang', 'make'])], "
    found += "[m for m in ('pip', 'torch', 'training', 'ziglang') if u.find_spec(m)])"
    assert engine("exec", identity, "/opt/mlp-serving/bin/python", "-c", found) == "[] []"
    assert engine("exec", identity, "find", "/opt", "/models", "-name", "*.whl") == ""


def test_it_reads_numbers_in_json_by_compiled_code(container: tuple[str, int]) -> None:
    program = "from service.http.codecs import regular_json; print(regular_json.READ_BY)"
    assert engine("exec", container[0], "python", "-c", program) == "compiled code"


def test_nothing_is_compiled_at_the_start(container: tuple[str, int]) -> None:
    program = (
        "import os, sys, service.run\n"
        "cached = [getattr(each, '__cached__', None) for each in sys.modules.values()]\n"
        "print(sum(map(bool, cached)) > 500, [each for each in cached if each and not os.path.exists(each)])"
    )
    assert engine("exec", container[0], "python", "-c", program) == "True []"


def test_it_has_the_permissions_of_the_pod_only(container: tuple[str, int]) -> None:
    identity, _ = container
    status = dict(line.split(":\t", 1) for line in engine("exec", identity, "cat", "/proc/1/status").splitlines())
    context = pod("cpu")["spec"]["securityContext"]
    assert set(status["Uid"].split()) == {str(context["runAsUser"])}
    assert set(status["Gid"].split()) == {str(context["runAsGroup"])}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    writes = "import os; print([d for d in ('/', '/opt/mlp-serving', '/models', '/tmp') if os.access(d, os.W_OK)])"
    assert engine("exec", identity, "python", "-c", writes) == "['/tmp']"


def test_predictions_metrics_and_health_check(container: tuple[str, int]) -> None:
    identity, port = container
    check_predictions(port)
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert re.search(
        r'^mlp_requests_total\{model="fashion-mnist",route="/models/\{name\}/predict",status="200"\} 1\.0$',
        metrics,
        re.MULTILINE,
    )
    assert f"\nmlp_workers {float(variables('cpu')['MLP_WORKERS'])}\n" in metrics
    kind, *command = inspected(identity)["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD"
    engine("exec", identity, *command)


def test_sigterm_loses_nothing_and_ends_within_the_grace_period(container: tuple[str, int]) -> None:
    identity, port = container
    body = (ROOT / "models" / "fashion-mnist" / "1" / "example.json").read_bytes()
    grace_s = pod("cpu")["spec"]["terminationGracePeriodSeconds"]
    pause_s = server("cpu")["lifecycle"]["preStop"]["sleep"]["seconds"]
    with Load(port, post(body), CLIENTS) as load:
        requests, cpu_s = usage(port)
        time.sleep(LOAD_S)
        later_requests, later_cpu_s = usage(port)
        engine("kill", "--signal", "TERM", identity)
        signalled_at = time.monotonic()
        load.wait()
        status = engine("wait", identity)
        drain_s = time.monotonic() - signalled_at
    print(
        f"\n{sum(load.answered.values())} requests, {CLIENTS} clients: {len(load.lost)} lost; ended in {drain_s:.1f} s"
    )
    print(f"{(later_requests - requests) / (later_cpu_s - cpu_s):,.0f} requests per second of CPU time")
    assert load.lost == []
    assert set(load.answered) == {200}
    assert status == "0"
    assert drain_s < grace_s - pause_s


def usage(port: int) -> tuple[float, float]:
    """Predictions and seconds of CPU time so far."""
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return (
        sum(map(float, re.findall(r"^mlp_request_rows_count\{.*\} (\S+)$", metrics, re.MULTILINE))),
        float(re.findall(r"^process_cpu_seconds_total (\S+)$", metrics, re.MULTILINE)[0]),
    )
