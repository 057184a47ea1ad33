"""The README matches the code: tables, paths, commands, snippets."""

from __future__ import annotations

import json
import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from service.heartbeats import Heartbeats
from service.http import problems
from service.metrics import Metrics
from service.metrics.workers import WorkersNow
from service.settings import PREFIX, Settings
from tests.service.published import TABLE, publish
from tests.service.running import Running

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


# Each Python snippet, by its first words.
# By the first line.
PYTHON = {code.split("\n")[0]: code for code in re.findall(r"```python\n(.+?)```", README, re.DOTALL)}


def section(title: str) -> list[str]:
    """Rows of the table below a heading."""
    text = re.split(rf"^##+ {title}$", README, flags=re.MULTILINE)[1]
    text = re.split(r"^##+ ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return [line for line in text.splitlines() if line.startswith("|")][2:]


def settings_rows() -> list[str]:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{str(field.default).lower()}`"
        meaning = str(field.description).replace("<", "&lt;")
        rows.append(f"| `--{name.replace('_', '-')}` | `{PREFIX}{name.upper()}` | {default} | {meaning} |")
    return rows


def metrics_rows() -> list[str]:
    registry = CollectorRegistry()
    Metrics(registry)
    rows = []
    for metric in registry._collector_to_names:
        if not isinstance(metric, MetricWrapperBase):  # computed at each scrape
            rows += [
                f"| `{family.name}` | {family.type} | {', '.join(family._labelnames)} | {family.documentation} |"
                for family in metric.describe()
            ]
            continue
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        rows.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")
    now = WorkersNow(Heartbeats(1)).collect()
    return rows + [f"| `{family.name}` | {family.type} |  | {family.documentation} |" for family in now]


@pytest.mark.parametrize(("title", "rows"), [("Configuration", settings_rows()), ("Metrics", metrics_rows())])
def test_the_tables_match_the_code(title: str, rows: list[str]) -> None:
    assert section(title) == rows


def test_every_problem_has_a_heading() -> None:
    headings = re.findall(r"^#### (.+)\n\n(.+\.)", README, re.MULTILINE)
    expected = [f"{status} `{name}`" for status, name, _ in problems.PROBLEMS.values()]
    assert [heading for heading, _ in headings] == expected
    for (_, text), (_, _, title) in zip(headings, problems.PROBLEMS.values(), strict=True):
        assert text.startswith(f"{title}.")


def test_each_linked_file_exists() -> None:
    names = set(re.findall(r"\]\(([^)#]+)\)", README)) | set(re.findall(r"@(models/\S+\.json)", README))
    local = [name for name in names if "://" not in name]
    assert len(local) > 4
    assert [name for name in local if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("path", "package"), [("A request", "service"), ("A training run", "training")])
def test_each_file_on_a_drawn_path_exists(path: str, package: str) -> None:
    drawn = README.split(f"\n{path}:\n\n```\n")[1].split("```")[0]
    files = re.findall(r"\b[a-z_0-9/]+(?:\.py\b|/)", drawn)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / package / file).exists() and not (ROOT / file).exists()] == []


def test_the_quickstart_request_returns_the_documented_response() -> None:
    path = re.search(r"curl localhost:8000/predict -d @(\S+)", README)
    documented = re.search(r'^(\{"model".*\})$', README, re.MULTILINE)
    assert path
    assert documented
    with Running(ROOT / "models") as server:
        form = {"content-type": "application/x-www-form-urlencoded"}  # curl -d sends this
        answer: dict[str, Any] = httpx.post(
            f"{server.address}/predict", content=(ROOT / path[1]).read_bytes(), headers=form
        ).json()
    expected = json.loads(documented[1])
    # Rounding differs between processors.
    assert answer.pop("probabilities")[0] == pytest.approx(expected.pop("probabilities")[0], abs=0.02)
    assert answer == expected


ROWS = re.findall(r"^(curl \S*localhost:8000/predict\S* (?!.*b64).*(?:-d '[\[{]|text/csv).*)$", README, re.MULTILINE)


def test_each_form_of_rows_is_answered(tmp_path: Path) -> None:
    publish(tmp_path, features=TABLE)
    assert len(ROWS) == 6
    with Running(tmp_path) as server:
        for command in ROWS:
            local = command.replace("localhost:8000", server.address, 1).replace("curl ", "curl -sS ", 1)
            done = subprocess.run(["bash", "-c", local], capture_output=True, text=True, check=True)
            answer = json.loads(done.stdout)
            assert [label is None for label in answer["predictions"]] in ([False], [False] * 2, [False, True]), answer


def test_the_commands_of_the_open_inference_protocol_print_what_is_documented() -> None:
    text = README.split("### Open Inference Protocol\n")[1].split("\n### ")[0]
    commands, printed = re.findall(r"```sh\n(.+?)```", text, re.DOTALL), re.findall(r"```json\n(.+?)\n```", text)
    with Running(ROOT / "models") as server:
        found = []
        for command in commands:
            local = command.replace("localhost:8000", server.address).replace("curl", "curl -s")
            done = subprocess.run(["sh", "-c", local], cwd=ROOT, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    assert found[:2] == [json.loads(each) for each in printed]
    assert [len(row) for row in found[2]["predictions"]] == [10]


def test_the_picture_snippet_predicts_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = Image.open(ROOT / "models" / "fashion-mnist" / "1" / "example.png").convert("RGB").resize((280, 280))
    drawn.save("new.png")
    with Running(ROOT / "models") as server:
        code = PYTHON['picture = Path("new.png").read_bytes()'].replace("http://localhost:8000", server.address)
        names: dict[str, Any] = {"Path": Path, "httpx": httpx}
        exec(code, names)  # noqa: S102 - our own snippet
    assert names["answer"]["predictions"] == ["Ankle boot"]


def test_each_curl_line_with_an_image_is_answered_alike() -> None:
    lines = [line for line in README.splitlines() if line.startswith("curl ") and ".png" in line]
    assert len(lines) == 4
    with Running(ROOT / "models") as server:
        for line in lines:
            command = line.replace("localhost:8000", server.address.removeprefix("http://"))
            said = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            assert set(json.loads(said)["predictions"]) == {"Ankle boot"}, line


def test_the_image_has_the_pixels_of_the_example() -> None:
    example = json.loads((ROOT / "models" / "fashion-mnist" / "1" / "example.json").read_text())["inputs"]
    pixels = np.array(example).reshape(28, 28)
    assert np.array_equal(np.asarray(Image.open(ROOT / "examples" / "boot.png")), pixels)


def test_the_estimator_snippet_trains_and_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = PYTHON["from training import MLPClassifier"]
    inputs, targets = load_iris(return_X_y=True)
    names = ("X_train", "X_test", "y_train", "y_test")
    rows = dict(zip(names, train_test_split(inputs, targets, random_state=0), strict=True))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        exec(code, rows)  # noqa: S102 - our own snippet
    assert (tmp_path / "models" / "mine" / "1" / "metadata.json").exists()


@pytest.mark.parametrize(
    "first_line",
    [
        "from training import train_table",
        "from training import TableClassifier",
        "from sklearn.compose import make_column_transformer",
    ],
)
def test_the_snippets_for_tables_train_and_publish(
    first_line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"c{number}" for number in range(200)],
            "age": np.where(random.random(200) < 0.1, np.nan, random.normal(40, 9, 200)),
            "income": random.normal(50_000, 9000, 200),
            "job": random.choice(["cook", "nurse"], 200),
        }
    )
    churn = np.where((frame["income"] > 50_000) ^ (frame["job"] == "cook"), "yes", "no")
    inputs = frame.drop(columns="id")
    names = ("X_train", "X_test", "y_train", "y_test")
    rows = dict(zip(names, train_test_split(inputs, churn, random_state=0), strict=True))
    rows["df"] = frame.assign(churn=churn)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        exec(PYTHON[first_line], rows)  # noqa: S102 - our own snippet
    assert (tmp_path / "models" / "churn" / "1" / "metadata.json").exists()


def test_each_make_target_exists() -> None:
    commands = set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert len(commands) > 4
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)
