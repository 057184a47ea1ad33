"""Each example runs against a real server and prints the expected output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.engine import free_port
from tests.service.running import Running

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
LIMIT_S = 200


def start(*command: str | Path, **variables: str) -> subprocess.Popen[str]:
    """Start a command in the root of the project, on one thread."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed_by(program: subprocess.Popen[str]) -> str:
    """The output of a program, which must succeed."""
    printed, errors = program.communicate(timeout=LIMIT_S)
    assert program.returncode == 0, errors
    return printed


def run(*command: str | Path) -> str:
    return printed_by(start(*command))


@pytest.fixture(scope="module")
def trainings() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The examples that train, started together, by name."""
    programs = {
        "table": start(EXAMPLES / "table_to_service.sh", PYTHON=sys.executable, PORT=str(free_port())),
        "pipeline": start(sys.executable, "-W", "error::UserWarning", EXAMPLES / "pipeline_to_service.py"),
        "retrain": start(sys.executable, EXAMPLES / "retrain.py"),
    }
    yield programs
    for program in programs.values():
        program.terminate()
        program.communicate(timeout=LIMIT_S)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server with the bundled model."""
    with Running(ROOT / "models") as server:
        yield server.address


def test_the_readme_lists_each_example() -> None:
    listed = set(re.findall(r"examples/(\w+\.\w+)", (EXAMPLES / "README.md").read_text()))
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh", ".mjs"}} - {"serving.py"}
    assert listed - {"test_examples.py"} == programs


def test_a_table_becomes_a_service(trainings: dict[str, subprocess.Popen[str]]) -> None:
    response = json.loads(printed_by(trainings["table"]))
    assert (response["model"], response["version"]) == ("flats", 1)
    larger, smaller = response["predictions"]
    assert larger > smaller > 0


def test_an_estimator_in_a_pipeline_becomes_a_service(trainings: dict[str, subprocess.Popen[str]]) -> None:
    printed = printed_by(trainings["pipeline"])
    found = re.search(r"^served: (\[.*\])\npipeline: (\[.*\])$", printed, re.MULTILINE)
    assert found is not None, printed
    assert found[1] == found[2]


def test_a_better_model_is_published_as_the_next_version(trainings: dict[str, subprocess.Popen[str]]) -> None:
    printed = printed_by(trainings["retrain"])
    assert "published version 2\n" in printed
    assert "version 2 predicts 2, expected 2\n" in printed


def test_python_calls_the_service(url: str) -> None:
    printed = run(sys.executable, EXAMPLES / "predict.py", url).splitlines()
    assert [line.partition(",")[0] for line in printed[:2]] == ["JSON: Ankle boot", "raw: Ankle boot"]
    assert printed[2].startswith("422 ")


def test_curl_calls_the_service(url: str) -> None:
    served, top_k, compressed, images, error = (
        json.loads(line) for line in run(EXAMPLES / "predict.sh", url).splitlines() if line.startswith("{")
    )
    assert [model["name"] for model in served["models"]] == ["fashion-mnist"]
    assert top_k["top_k"]["predictions"] == [["Ankle boot", "Sneaker"]]
    assert compressed["predictions"] == ["Ankle boot"]
    assert images["predictions"] == ["Ankle boot"] * 2
    assert error["status"] == 422


def test_javascript_calls_the_service(url: str) -> None:
    """Send the request in the program's source; if Node.js is installed, run the program, too."""
    program = (EXAMPLES / "predict.mjs").read_text()
    request = re.search(
        r'fetch\(`\$\{url\}(?P<path>\S+)`, \{\s+method: "(?P<method>\w+)",\s+headers: (?P<headers>\{.*\}),\s+'
        r"body: JSON.stringify\(\{ inputs \}\),",
        program,
    )
    assert request is not None
    members = set(re.findall(r"answer\.(\w+)", program))
    responses = [
        httpx.request(
            request["method"],
            url + request["path"],
            headers=json.loads(request["headers"]),
            content=json.dumps({"inputs": inputs}),
        )
        for inputs in ([[0] * 784], [[1, 2, 3]])
    ]
    assert [response.status_code for response in responses] == [200, 422]
    assert members == {"version", "predictions", "top_k", "status", "title", "detail"}
    assert members <= {name for response in responses for name in response.json()}
    if node := shutil.which("node"):
        printed = run(node, EXAMPLES / "predict.mjs", url).splitlines()
        assert printed[0].startswith("version 1 predicts ")
        assert printed[1].startswith("422 ")
