"""`train_table` does with a DataFrame what the command line does with a file."""

from __future__ import annotations

import doctest
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import training
from service import artifact
from tests.training.trained import golden_of, run
from training import Epoch, TrainedTable, train_table
from training.config import Config
from training.data.tables.options import OPTIONS
from training.errors import DataError, NotPromoted, OptionError
from training.estimators.docstrings import entries
from training.run import dataframe

QUICK: dict[str, Any] = {"epochs": 3, "hidden": [16], "verbose": False}


def people(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.uniform(18, 90, rows).round(1)
    job = random.choice(["cook", "nurse", "clerk"], rows)
    return pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, age),
            "job": pd.Categorical(job),
            "grade": random.integers(1, 4, rows),
            "answer": np.where((age < 40) | (job == "nurse"), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedTable:
    return train_table(people(), "answer", models=tmp_path_factory.mktemp("models"), name="people", **QUICK)


def test_it_publishes_what_the_command_line_publishes_of_the_same_table(trained: TrainedTable, tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pandas(people()), tmp_path / "people.parquet")
    status, log = run(
        tmp_path / "models", str(tmp_path / "people.parquet"), "--target", "answer", "--epochs", "3", "--hidden", "16"
    )
    assert status == 0, log
    assert trained.folder is not None
    ours, theirs = artifact.read(trained.folder), artifact.read(tmp_path / "models" / "people" / "1")
    assert ours.manifest.features == theirs.manifest.features
    assert ours.manifest.scores == theirs.manifest.scores
    for name, values in golden_of(theirs).items():
        np.testing.assert_array_equal(golden_of(ours)[name], values)


def test_it_predicts_what_the_published_version_answers(trained: TrainedTable) -> None:
    assert trained.folder is not None
    golden = golden_of(artifact.read(trained.folder))
    job = [("clerk", "cook", "nurse")[int(code)] for code in golden["inputs"][:, 1]]
    rows = pd.DataFrame({"age": golden["inputs"][:, 0], "job": job, "grade": golden["inputs"][:, 2]})
    np.testing.assert_allclose(trained.predict_proba(rows), golden["probabilities"], atol=1e-6)
    assert trained.predict(rows).tolist() == [trained.classes[code] for code in golden["prediction"]]


def test_the_result_says_how_it_went(trained: TrainedTable) -> None:
    assert trained.classes == ("no", "yes")
    assert trained.features == ("age", "job", "grade")
    assert trained.targets == ("answer",)
    assert [epoch.number for epoch in trained.history] == [1, 2, 3]
    assert {"accuracy", "log_loss"} <= set(trained.scores)
    assert "people: 3 columns → answer" in trained.summary()
    assert re.search(r"test scores: accuracy \d", trained.summary())


def test_it_can_be_published_later(tmp_path: Path) -> None:
    result = train_table(people(), "grade", task="regression", drop="answer", name="grades", **QUICK)
    assert result.folder is None
    assert result.predict(people(20)).shape == (20,)
    assert result.publish(tmp_path) == tmp_path / "grades" / "1"
    assert result.publish(tmp_path, name="other") == tmp_path / "other" / "1"
    with pytest.raises(OptionError, match="predict_proba is for classes"):
        result.predict_proba(people(20))


def test_several_targets() -> None:
    frame = people().assign(height=lambda each: each["age"].fillna(0) * 2)
    result = train_table(frame, ["grade", "height"], drop=["answer"], **QUICK)
    assert result.predict(frame).shape == (200, 2)


def test_a_version_that_breaks_clients_is_refused(tmp_path: Path) -> None:
    train_table(people(), "answer", models=tmp_path, **QUICK)
    with pytest.raises(NotPromoted, match="'grade'"):
        train_table(people(), "answer", models=tmp_path, drop=["grade"], **QUICK)
    assert train_table(people(), "answer", models=tmp_path, drop=["grade"], breaking=True, **QUICK).folder


def test_on_epoch_is_told_each_epoch_and_may_stop() -> None:
    told: list[Epoch] = []
    result = train_table(people(), "answer", on_epoch=lambda epoch: told.append(epoch) or epoch.number == 2, **QUICK)
    assert told == list(result.history)
    assert len(told) == 2


def test_an_error_of_on_epoch_is_raised() -> None:
    def fail(_: Epoch) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        train_table(people(), "answer", on_epoch=fail, **QUICK)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "anser"}, OptionError, "target: the table has no column 'anser'; did you mean 'answer'?"),
        ({"dropp": ["age"]}, OptionError, "unknown option 'dropp'; did you mean drop?"),
        ({"drop": ["answer"]}, OptionError, "'answer' is in both target and drop; to predict it, do not drop it"),
        ({"drop": ["a", "b"]}, OptionError, "the call has 2 errors:"),
        ({"group": "age", "time": "job"}, OptionError, "group and time both say how to divide the rows"),
        ({"hidden": 8}, OptionError, "hidden is 8, expected one or more sizes such as: hidden=(256, 128)"),
        ({"on_epoch": 3}, OptionError, "on_epoch is 3, expected a function, or None"),
        ({"drop": 3}, OptionError, "drop is 3, expected a list of strings"),
        ({"epochs": -1}, OptionError, "epochs is -1, expected an integer from 0 to 100,000"),
        ({"task": "x"}, OptionError, "task is 'x', expected one of 'auto', 'classification', 'regression'"),
        ({"recipe": "x"}, OptionError, "recipe is 'x', expected one of 'default'"),
        ({"drop": ["age", "job", "grade"]}, DataError, "the table has no columns left to predict answer from"),
    ],
)
def test_errors_name_keywords(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        train_table(people(), **{"target": "answer", **QUICK, **options})


def test_lists_may_be_arrays() -> None:
    rows = people()
    for drop in (rows.columns[:1], np.array(["age"])):
        assert "age" not in train_table(rows, "answer", drop=drop, **QUICK | {"hidden": np.array([8, 4])}).features


def test_notes_name_keywords() -> None:
    rows = people()
    result = train_table(rows.assign(leak=rows["answer"].map({"yes": 2.5, "no": 1.5})), "answer", **QUICK)
    assert "leave it out with drop=['leak']" in result.notes[-1]


def test_messages_go_to_stderr_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    train_table(people(), "answer", **QUICK)
    assert capsys.readouterr() == ("", "")
    train_table(people(), "answer", **QUICK | {"verbose": True})
    out, err = capsys.readouterr()
    assert out == ""
    assert "target answer: 2 classes (no, yes)" in err
    assert "training rows" in err
    assert "--" not in err


class TestHelp:
    def test_it_lists_every_option_of_a_table(self) -> None:
        text = train_table.__doc__ or ""
        options = {each.name for each in OPTIONS} - {"targets"}
        images = {each.name for each in fields(Config) if each.metadata["help"].startswith("images:")}
        training_options = {each.name for each in fields(Config)} - images
        assert set(entries(text, "Other Parameters")) == options | training_options

    def test_it_documents_the_parameters_of_the_signature(self) -> None:
        documented = entries(train_table.__doc__ or "", "Parameters")
        for name, each in inspect.signature(train_table).parameters.items():
            if each.kind is not inspect.Parameter.VAR_KEYWORD and each.default is not inspect.Parameter.empty:
                assert documented[name].split("\n")[0].endswith(f", default={each.default!r}"), name

    def test_the_example_runs(self) -> None:
        assert doctest.testmod(dataframe).failed == 0
        assert doctest.testmod(dataframe).attempted >= 4


def test_names_are_exported_lazily() -> None:
    assert set(training.__all__) >= {"train_table", "TrainedTable", "Epoch", "TableClassifier", "TableRegressor"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        training.nothing  # noqa: B018


def test_test_rows_may_be_a_frame_of_their_own() -> None:
    rows = people(260)
    result = train_table(rows[:200], "answer", test=rows[200:], **QUICK)
    assert len(result.run.split.test) == 60
    assert result.run.split.how["test"] == "those of the test table"
    with pytest.raises(DataError, match="the test table has the content of the table; give one with other rows"):
        train_table(rows, "answer", test=rows, **QUICK)


def test_columns_with_a_role_are_no_features() -> None:
    rows = people().assign(patient=np.arange(200) // 4, weight=1.5)
    result = train_table(rows, "answer", group="patient", weight="weight", **QUICK)
    assert result.features == ("age", "job", "grade")
    assert result.run.dataset.weights is not None


@pytest.mark.parametrize("target", [3, [], None, ["answer", 3], pd.Series(["answer"])])
def test_a_target_is_a_name(target: Any) -> None:
    with pytest.raises(OptionError, match=rf"target is {re.escape(repr(target))}, expected the name of a column, or a"):
        train_table(people(), target, **QUICK)
