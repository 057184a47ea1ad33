"""The page's commands for cloud platforms: the server starts as the container does, and answers them."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deploy.engine import free_port
from tests.deploy.rendered import version
from tests.documents.pages import ROOT, read
from tests.service.running import environment

BLOCKS = re.findall(r"```sh\n(docker run .+?)\n```", read("cloud"), re.DOTALL)
HEALTH = re.findall(
    r"^HEALTHCHECK .*?CMD (\[.*?\])$", (ROOT / "Dockerfile").read_text().replace("\\\n", ""), re.MULTILINE
)


@contextmanager
def container(run: str, port: int) -> Iterator[dict[str, str]]:
    """The server as a ``docker run`` starts it, but on ``port``; its environment."""
    words = shlex.split(run.replace("8080", str(port)))
    variables = dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "-e")
    arguments = words[words.index(f"mlp-serving:{version()}") + 1 :]
    if arguments == ["serve"]:  # it would be 8080, which may be in use here
        variables["SAGEMAKER_BIND_TO_PORT"] = str(port)
    process_environment = environment(**variables)
    command = [sys.executable, "-m", "service", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=process_environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("ready on" in line for line in process.stderr)
        yield process_environment
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_platform_starts_the_server_and_asks_it(block: str) -> None:
    run, *questions = block.splitlines()
    port = free_port()
    with container(run, port) as process_environment:
        answers = []
        for question in questions:
            local = question.replace("localhost:8080", f"localhost:{port}").replace("curl", "curl -sSf")
            done = subprocess.run(["sh", "-c", local], cwd=ROOT, capture_output=True, text=True, check=True)
            answers.append(json.loads(done.stdout))
        # The image asks the same port.
        (check,) = map(json.loads, HEALTH)
        subprocess.run([sys.executable, *check[1:]], env=process_environment, check=True)
    predictions = answers[-1]["predictions"]
    assert predictions == ["Ankle boot"] or [len(row) for row in predictions] == [10]
    assert answers[:-1] in ([], [{"status": "ready"}])


def test_each_platform_has_an_example() -> None:
    assert len(BLOCKS) == 3
