"""The Python snippets of the pages run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import optuna
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from tests.documents.pages import PAGES, ROOT, code
from tests.service.running import Running

SNIPPETS: Final = {snippet.split("\n")[0]: snippet for page in PAGES for snippet in code(page.read_text(), "python")}
PICTURE: Final = 'picture = Path("new.png").read_bytes()'
ESTIMATOR: Final = "from training import MLPClassifier"
TABLES: Final = (
    "from training import train_table",
    "from training import TableClassifier",
    "from sklearn.compose import make_column_transformer",
)
CONVERSION: Final = "import pyarrow.csv, pyarrow.parquet"
STUDY: Final = "import optuna"
FIRST: Final = "import httpx"
# It needs a key: test_keys.py.
KEYS: Final = "import httpx, os"
# Clients that need an environment of their own: tests/client_programs does the same.
ELSEWHERE: Final = ("import numpy as np", 'client = ScoringServerClient("localhost", 8080)')


def test_each_snippet_is_run() -> None:
    assert set(SNIPPETS) == {FIRST, PICTURE, ESTIMATOR, *TABLES, CONVERSION, STUDY, KEYS, *ELSEWHERE}


def test_the_first_request_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with Running(ROOT / "models") as server:
        exec(SNIPPETS[FIRST].replace("http://localhost:8000", server.address), {})  # noqa: S102 - our own snippet
    label, _, probabilities = capsys.readouterr().out.partition(" [")
    assert label
    assert probabilities.count(",") == 9


def test_the_picture_is_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = Image.open(ROOT / "models" / "fashion-mnist" / "1" / "example.png").convert("RGB").resize((280, 280))
    drawn.save("new.png")
    with Running(ROOT / "models") as server:
        snippet = SNIPPETS[PICTURE].replace("http://localhost:8000", server.address)
        names: dict[str, Any] = {"Path": Path, "httpx": httpx}
        exec(snippet, names)  # noqa: S102 - our own snippet
    assert names["answer"]["predictions"] == ["Ankle boot"]


def test_the_estimator_trains_and_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = load_iris(return_X_y=True)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        exec(SNIPPETS[ESTIMATOR], parts(inputs, targets))  # noqa: S102 - our own snippet
    assert (tmp_path / "models" / "mine" / "1" / "metadata.json").exists()


@pytest.mark.parametrize("first_line", TABLES)
def test_the_tables_train_and_publish(first_line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    names = parts(frame.drop(columns="id"), churn) | {"df": frame.assign(churn=churn)}
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        exec(SNIPPETS[first_line], names)  # noqa: S102 - our own snippet
    assert (tmp_path / "models" / "churn" / "1" / "metadata.json").exists()


def test_a_csv_file_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    visits = pd.DataFrame({"page": ["a", "b"], "seconds": [1.5, 2.0]})
    visits.to_csv("visits.csv", index=False)
    exec(SNIPPETS[CONVERSION], {})  # noqa: S102 - our own snippet
    pd.testing.assert_frame_equal(pd.read_parquet("visits.parquet"), visits, check_dtype=False)


def test_a_study_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "searches").mkdir()
    study = optuna.create_study(study_name="houses", storage="sqlite:///searches/houses.db")
    study.optimize(lambda trial: trial.suggest_float("lr", 0.001, 0.1), n_trials=1)
    exec(SNIPPETS[STUDY], {})  # noqa: S102 - our own snippet
    assert capsys.readouterr().out.strip() == str(study.best_trial.params)


def parts(inputs: Any, targets: Any) -> dict[str, Any]:
    """The names that the snippets take for granted."""
    names = ("X_train", "X_test", "y_train", "y_test")
    return dict(zip(names, train_test_split(inputs, targets, random_state=0), strict=True))
