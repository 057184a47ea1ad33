"""Which columns and rows the output has."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.service.published import publish, rewrite
from tests.service.scoring.scoring import Scoring

ROWS = {"id": [7, 8, 9], **{f"f{at}": [0.5, 1.0, -1.0] for at in range(4)}}


def test_all_columns_or_some_or_none(score: Scoring) -> None:
    given = score.write("rows.parquet", ROWS)
    assert score.rows("small", given).column_names == [*ROWS, "prediction"]
    assert score.rows("small", given, "--keep", "f3", "id").column_names == ["f3", "id", "prediction"]
    assert score.rows("small", given, "--keep").column_names == ["prediction"]
    message = score.fails("small", given, score.folder / "x.csv", "--keep", "ids")
    assert message == f"--keep ids: {given} has no such column; did you mean id?"


def test_names_of_a_regression(score: Scoring) -> None:
    given = score.write("rows.parquet", ROWS)
    assert score.rows("numbers", given, "--keep").column_names == ["price", "rent"]
    message = score.fails("numbers", given, score.folder / "x.csv", "--probabilities")
    assert message == "--probabilities means nothing here, as the model predicts numbers and no classes; leave it out"


def test_names_that_clash(score: Scoring) -> None:
    given = score.write("rows.parquet", ROWS | {"prediction": ["a"] * 3, "error": [1] * 3})
    way_out = "or leave them out by naming the columns to --keep"
    message = score.fails("small", given, score.folder / "x.csv", "--on-error", "null")
    assert message == (
        "the input has 'prediction', 'error', as the answers have; rename the answers with --prefix, such as --prefix "
        f"model_, {way_out}"
    )
    found = score.rows("small", given, "--on-error", "null", "--prefix", "our_")
    assert found.column_names[-4:] == ["prediction", "error", "our_prediction", "our_error"]
    given = score.write("rows.parquet", ROWS | {"price": [1] * 3})
    assert "another --prefix" not in score.fails("numbers", given, score.folder / "x.csv")


def test_top_k(score: Scoring) -> None:
    given = score.write("rows.parquet", ROWS)
    found = score.rows("small", given, "--top-k", "2", "--keep")
    assert found.column_names[1:3] == ["top_1_prediction", "top_1_probability"]
    assert found["top_1_prediction"].equals(found["prediction"])
    message = score.fails("small", given, score.folder / "x.csv", "--top-k", "4")
    assert message == "--top-k is 4, expected 1 to 3, the number of classes"


@pytest.mark.usefixtures("short_chunks")
def test_bad_rows(score: Scoring) -> None:
    ages = [None if row == 30 else float(row) for row in range(50)]
    given = score.write("rows.parquet", {f"f{at}": ages for at in range(4)} | {"id": range(50)})
    reason = "feature 'f0' is null, and the model allows no missing value here; send a number"
    beside = "(also bad in this row: 'f1', 'f2', 'f3')"
    message = score.fails("small", given, score.folder / "x.csv")
    assert message == (
        f"{given}: row 30, {reason} {beside} (rows are counted from 0); nothing was written; --on-error skip leaves "
        "such rows out, and null keeps them without an answer"
    )
    whole = score.rows("small", given, "--on-error", "null")
    assert whole["error"].to_pylist() == [f"{reason} {beside}" if row == 30 else None for row in range(50)]
    assert whole["prediction"].null_count == 1
    assert whole["id"].to_pylist() == list(range(50))
    some = score.rows("small", given, "--on-error", "skip")
    assert some.equals(whole.drop_columns(["error"]).filter(pa.compute.is_valid(whole["prediction"])))
    ended = score("small", given, score.folder / "y.csv", "--on-error", "skip")
    assert ended.err.splitlines()[1:] == [
        "mlp-score: 1 of 50 rows do not fit the model and are left out (rows are counted from 0):",
        f"mlp-score:   1 for feature 'f0'; the first: {given}, row 30, {reason} {beside}"[: len(str(given)) + 250],
    ]


def test_values_too_large_for_the_network(score: Scoring) -> None:
    given = score.write("rows.parquet", {f"f{at}": [1.0, 3e38] for at in range(4)})
    assert "row 1 is answered with no finite number" in score.fails("small", given, score.folder / "x.csv")
    found = score.rows("small", given, "--on-error", "null", "--probabilities")
    assert found["probability_ape"].is_null().to_pylist() == [False, True]


def test_imputing_as_the_server(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_defaults(manifest: dict[str, list[dict[str, float]]]) -> None:
        for feature in manifest["features"]:
            feature["default"] = 0.25

    publish(score.folder / "models", "filled")
    rewrite(score.folder / "models" / "filled" / "1", with_defaults)
    score.models = score.folder / "models"
    given = score.write("rows.csv", "f0,f1,f2,f3\n1,2,3,\n1,2,3,0.25\n")
    assert "feature 'f3' is" in score.fails("filled", given, score.folder / "x.csv")
    monkeypatch.setenv("MLP_UNSEEN_VALUES", "impute")
    found = score.rows("filled", given, "--probabilities")
    assert found["probability_ape"][0] == found["probability_ape"][1]
    assert "imputed 1 missing value in 1 row: 'f3' (1)" in score("filled", given, score.folder / "y.csv").err


def test_the_file_tells_its_model(score: Scoring) -> None:
    found = score.rows("small", score.write("rows.parquet", ROWS))
    assert found.schema.metadata == {b"model": b"small", b"version": b"1"}
