"""The image as the sidecar of bucket-models, beside a server: a new version is copied and served; SIGTERM ends it.

The bucket is a folder: what reads object stores is tested without an engine.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.engine import as_the_pod, engine, free_port, image, wait_for
from tests.deploy.rendered import Document, combined, image_models, image_port, mebibytes, only, server
from tests.service.published import publish
from tests.service.running import PATIENCE_S

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]

SOURCE = "/source"


def side_car() -> Document:
    spec = only(combined(("overlays/cpu",), ("bucket-models",)), "Deployment")["spec"]["template"]["spec"]
    (found,) = [dict(each) for each in spec["initContainers"] if each["name"] == "sync-models"]
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts containers of the image as in the pod, with the folder ``models`` at its place; returns their ids."""
    started = []
    (tmp_path / "models").mkdir()
    (tmp_path / "models").chmod(0o777)

    def start(*options: str, access: str, command: tuple[str, ...] = ()) -> str:
        mounts = ("--volume", f"{tmp_path}/models:{image_models()}:{access}", *options)
        started.append(engine("run", "--detach", *as_the_pod("cpu"), *mounts, image(), *command))
        return started[-1]

    yield start
    for identity in started:
        engine("rm", "--force", identity)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_version_is_pulled_and_served_beside_the_server(run: Callable[..., str], tmp_path: Path) -> None:
    source, port = tmp_path / "source", free_port()
    publish(source, "small", 1)
    program, *words = (word.replace("$(MODELS_SOURCE)", SOURCE) for word in side_car()["command"])
    words[words.index("--interval-s") + 1] = "1"
    pulls = run("--entrypoint", program, "--volume", f"{source}:{SOURCE}:ro", access="rw", command=tuple(words))
    wait_until((tmp_path / "models" / "small" / "1").exists)
    run("--publish", f"127.0.0.1:{port}:{image_port()}", access="ro")
    wait_for(port, server("cpu")["startupProbe"])

    publish(tmp_path / "uploaded", "small", 2, seed=2)
    shutil.copytree(tmp_path / "uploaded" / "small" / "2", source / "small" / "2")
    appeared = time.monotonic()
    wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/models").json()["models"][0]["version"] == 2)
    served_s = time.monotonic() - appeared

    status = engine("exec", pulls, "cat", "/proc/1/status")
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    engine("kill", "--signal", "TERM", pulls)
    signalled = time.monotonic()
    assert engine("wait", pulls) == "0"
    print(
        f"\nserved {served_s:.1f} s after it was uploaded; the sidecar held {int(peak_kib) / 1024:.0f} MiB, and ended "
        f"{time.monotonic() - signalled:.1f} s after SIGTERM"
    )
    assert int(peak_kib) / 1024 < mebibytes(side_car()["resources"]["limits"]["memory"]) / 2
