"""TableClassifier and TableRegressor take a DataFrame as it is, and behave as scikit-learn expects."""

from __future__ import annotations

import doctest
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from service import artifact
from tests.training.trained import golden_of
from training import Epoch, TableClassifier, TableRegressor
from training.errors import DataError
from training.estimators import tables

QUICK: dict[str, Any] = {"epochs": 5, "hidden": (16,), "random_state": 0}


def people(rows: int = 200, seed: int = 0) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Missing ages, rare jobs, booleans, and a category of numbers; the young and the nurses answer yes."""
    random = np.random.default_rng(seed)
    age = random.uniform(18, 90, rows).round(1)
    job = random.choice(
        ["cook", "nurse", *(f"job {number}" for number in range(40))], rows, p=[0.4, 0.4] + [0.005] * 40
    )
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, age),
            "job": np.where(random.random(rows) < 0.1, None, job),
            "member": random.random(rows) < 0.5,
            "zone": pd.Categorical(random.integers(1, 4, rows)),
        }
    )
    return frame, np.where((age < 40) | (job == "nurse"), "yes", "no")


# Steps are on random batches, and early stopping on random rows: a row of weight 2 is not the row twice.
EXPECTED_FAILURES = {"check_sample_weight_equivalence_on_dense_data"}
SKIPPED = {"check_array_api_input"}  # needs a setting of scikit-learn


@pytest.mark.parametrize(
    "estimator", [TableClassifier(epochs=60), TableRegressor(epochs=60)], ids=["classes", "numbers"]
)
@pytest.mark.filterwarnings("ignore")
def test_passes_the_estimator_checks_of_scikit_learn(estimator: Any) -> None:
    found = {each["check_name"]: each["status"] for each in check_estimator(estimator, on_fail=None)}
    assert {name for name, status in found.items() if status == "failed"} <= EXPECTED_FAILURES
    assert {name for name, status in found.items() if status == "skipped"} <= SKIPPED
    assert len(found) > 55


class TestFrames:
    def test_a_frame_with_all_kinds_of_columns(self) -> None:
        X, y = people()
        model = TableClassifier(**QUICK | {"epochs": 30, "lr": 0.01}).fit(X, y)
        assert model.score(X, y) > 0.8
        assert [column.type for column in model.columns_] == ["numeric", "categorical", "boolean", "categorical"]
        assert [column.missing for column in model.columns_] == [True, True, False, False]
        assert model.feature_names_in_.tolist() == ["age", "job", "member", "zone"]
        assert model.classes_.tolist() == ["no", "yes"]

    def test_unknown_categories_and_missing_values_are_answered(self) -> None:
        X, y = people()
        model = TableClassifier(**QUICK).fit(X, y)
        rows = pd.DataFrame(
            {"age": [None, 30.0], "job": ["astronaut", None], "member": [True, False], "zone": [9, None]}
        )
        assert np.isfinite(model.predict_proba(rows)).all()

    def test_arrow_gives_what_pandas_gives(self) -> None:
        X, y = people()
        table = pa.Table.from_pandas(X)
        expected = TableClassifier(**QUICK).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(TableClassifier(**QUICK).fit(table, y).predict_proba(table), expected)

    def test_an_array_of_objects_and_a_list_of_lists(self) -> None:
        X, y = people()
        rows = X.astype({"zone": int}).astype(object).to_numpy()
        model = TableClassifier(**QUICK, categorical_features=[3]).fit(rows, y)
        assert [column.type for column in model.columns_] == ["numeric", "categorical", "boolean", "categorical"]
        np.testing.assert_array_equal(model.predict_proba(rows.tolist()), model.predict_proba(rows))

    def test_categorical_features_by_name(self) -> None:
        X, y = people()
        model = TableClassifier(**QUICK, categorical_features=["zone"]).fit(X.astype({"zone": int}), y)
        assert model.columns_[3].categories == ("1", "2", "3")
        with pytest.raises(ValueError, match="categorical_features has 'zon', expected names or positions of columns"):
            TableClassifier(**QUICK, categorical_features=["zon"]).fit(X, y)

    def test_durations_are_days_in_training_and_in_prediction(self) -> None:
        X, y = people()
        hours = pd.to_timedelta(X["age"], unit="h")
        expected = TableClassifier(**QUICK).fit(X.assign(age=hours / pd.Timedelta(days=1)), y)
        model = TableClassifier(**QUICK).fit(X.assign(age=hours), y)
        np.testing.assert_array_equal(
            model.predict_proba(X.assign(age=hours)), expected.predict_proba(X.assign(age=hours / pd.Timedelta(days=1)))
        )
        for other in (pd.Timestamp("2020-01-01"), [[1]] * len(X)):
            with pytest.raises(ValueError, match=r"column 'age' has type .*, expected numeric values"):
                model.predict(X.assign(age=other))

    def test_a_mapping_is_a_frame_and_a_column_is_none(self) -> None:
        X, y = people()
        model = TableClassifier(**QUICK).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(dict(X.items())), model.predict_proba(X))
        with pytest.raises(ValueError, match="Expected a 2-dimensional container but got"):
            TableClassifier(**QUICK).fit(X["age"], y)

    @pytest.mark.parametrize("mixed", [False, True])
    def test_blanks_and_empty_strings_are_read_alike_in_fit_and_in_predict(self, mixed: bool, tmp_path: Path) -> None:
        X, y = people()
        job = np.array([("", " cook", "cook ", True if mixed else "true")[row % 4] for row in range(len(X))], object)
        X = X.assign(job=job)
        model = TableClassifier(**QUICK).fit(X, y)
        column = model.columns_[list(X).index("job")]
        assert (column.categories, column.missing) == (("cook", "true"), True)
        plain = X.assign(job=np.array([(None, "cook", "cook", "true")[row % 4] for row in range(len(X))], object))
        np.testing.assert_array_equal(
            TableClassifier(**QUICK).fit(plain, y).predict_proba(plain), model.predict_proba(X)
        )
        model.publish(tmp_path, "people", train=(X, y), test=(X[:60], y[:60]))

    def test_names_that_differ_by_blanks_alone(self) -> None:
        X, y = people()
        with pytest.raises(ValueError, match="X has several columns named 'age', but for blanks at the ends"):
            TableClassifier(**QUICK).fit(X.assign(**{"age ": X["age"]}), y)

    def test_rows_without_a_class_are_named(self) -> None:
        X, y = people()
        y = np.where(np.isin(np.arange(len(y)), (3, 5)), None, y)
        with pytest.raises(ValueError, match="y has no class in 2 rows, the first of them 3; leave them out"):
            TableClassifier(**QUICK).fit(X, y)
        with pytest.raises(ValueError, match="y has no class in 2 rows, the first of them 3; leave them out"):
            TableClassifier(**QUICK).fit(X, pd.Series(y, dtype="string"))
        with pytest.raises(ValueError, match="y has only the class 'yes', expected at least two"):
            TableClassifier(**QUICK).fit(X, ["yes"] * len(X))

    def test_constant_and_unique_columns_do_no_harm(self) -> None:
        X, y = people()
        X = X.assign(constant=1.0, empty=np.nan, name=[f"row {index}" for index in range(len(X))])
        assert np.isfinite(TableClassifier(**QUICK).fit(X, y).predict_proba(X)).all()

    def test_dates_are_read_in_every_form_a_frame_has(self) -> None:
        X, y = people()
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(X)), unit="D")
        dated = X.assign(when=days.strftime("%d.%m.%Y"), at=days)
        model = TableClassifier(**QUICK).fit(dated, y)
        assert [(column.type, column.format) for column in model.columns_[4:]] == [
            ("datetime", "day-month-year"),
            ("datetime", "year-month-day"),
        ]
        expected = model.predict_proba(dated)
        iso = dated.assign(when=days.strftime("%Y-%m-%d"), at=days.strftime("%Y-%m-%dT00:00:00Z"))
        np.testing.assert_array_equal(model.predict_proba(iso), expected)
        assert np.isfinite(model.predict_proba(dated.assign(at=pd.NaT))).all()
        with pytest.raises(ValueError, match="column 'when' has 'someday', expected a date such as"):
            model.predict(dated.assign(when="someday"))

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([1e39, *range(199)], "column 'odd' has 1e\\+39"),
            ([{"a": 1}] * 200, "column 'odd' has type struct"),
            ([1j] * 200, "give each column one type"),
        ],
    )
    def test_columns_that_cannot_be_used_are_named(self, column: list[Any], message: str) -> None:
        X, y = people()
        with pytest.raises(ValueError, match=message):
            TableClassifier(**QUICK).fit(X.assign(odd=column), y)


class TestScikitLearn:
    def test_cross_validation_grid_search_and_pickle(self) -> None:
        X, y = people()
        assert len(cross_val_score(TableClassifier(**QUICK), X, y, cv=3)) == 3
        search = GridSearchCV(TableClassifier(**QUICK), {"hidden": [(4,), (8, 8)]}, cv=2).fit(X, y)
        model = pickle.loads(pickle.dumps(search.best_estimator_))  # noqa: S301 - our own
        np.testing.assert_array_equal(model.predict_proba(X), search.predict_proba(X))
        assert clone(model).get_params() == model.get_params()

    def test_in_a_pipeline(self) -> None:
        X, y = people()
        assert make_pipeline("passthrough", TableClassifier(**QUICK)).fit(X, y).predict(X).shape == (200,)

    def test_a_seed_makes_it_reproducible(self) -> None:
        X, y = people()
        one, two = (TableClassifier(**QUICK).fit(X, y).predict_proba(X) for _ in range(2))
        other = TableClassifier(**QUICK | {"random_state": 1}).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, other)

    def test_several_targets(self) -> None:
        X, _ = people()
        y = np.random.default_rng(0).normal(size=(200, 2))
        assert TableRegressor(**QUICK).fit(X, y).predict(X).shape == (200, 2)

    def test_a_rare_class_of_one_row_is_trained_on(self) -> None:
        X, y = people()
        y = y.astype(object)
        y[0] = "maybe"
        assert TableClassifier(**QUICK).fit(X, y).classes_.tolist() == ["maybe", "no", "yes"]

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"recipe": "x"}, "recipe is 'x', expected"),
            ({"epochs": 0}, "epochs is 0, expected None, or an integer from 1"),
            ({"hidden": ()}, re.escape("hidden is empty, expected one or more sizes such as: hidden=(256, 128)")),
            ({"class_weight": "x"}, "class_weight is 'x'"),
        ],
    )
    def test_invalid_parameters(self, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            TableClassifier(**QUICK | parameters).fit(*people())


class TestWeights:
    def test_rows_of_weight_0_are_left_out(self) -> None:
        X, y = people()
        kept = np.arange(200) < 150
        weighted = TableClassifier(**QUICK).fit(X, y, sample_weight=kept.astype(float))
        alone = TableClassifier(**QUICK).fit(X[kept], y[kept])
        # A mean by weights of 1 is rounded otherwise than one without weights.
        np.testing.assert_allclose(weighted.predict_proba(X), alone.predict_proba(X), rtol=1e-5)

    def test_a_heavy_class_is_predicted_more_often(self) -> None:
        X, y = people()
        model = TableClassifier(**QUICK)
        plain = model.fit(X, y).predict_proba(X)[:, 1].mean()
        assert model.fit(X, y, sample_weight=np.where(y == "yes", 9.0, 1.0)).predict_proba(X)[:, 1].mean() > plain + 0.1
        model.set_params(class_weight={"yes": 9.0})
        assert model.fit(X, y).predict_proba(X)[:, 1].mean() > plain + 0.1

    def test_a_negative_weight_is_refused(self) -> None:
        X, y = people()
        with pytest.raises(ValueError, match="expected weights of at least 0"):
            TableClassifier(**QUICK, class_weight={"no": 1, "yes": -1}).fit(X, y)

    def test_balanced_weights_are_those_of_scikit_learn(self) -> None:
        X, y = people()
        rare = y == "yes"
        keep = ~rare | (np.cumsum(rare) <= 20)
        counts = {label: (y[keep] == label).sum() for label in ("yes", "no")}
        weights = {label: keep.sum() / 2 / count for label, count in counts.items()}
        balanced, by_hand = (
            TableClassifier(**QUICK, class_weight=each).fit(X[keep], y[keep]).predict_proba(X)
            for each in ("balanced", weights)
        )
        np.testing.assert_allclose(balanced, by_hand, atol=1e-6)


class TestCallbacks:
    def test_they_are_told_each_epoch_and_may_stop(self) -> None:
        told: list[tuple[Any, Epoch]] = []
        model = TableClassifier(**QUICK)
        model.callbacks = [lambda estimator, epoch: told.append((estimator, epoch)), lambda _, epoch: epoch.number == 3]
        model.fit(*people())
        assert [epoch for _, epoch in told] == model.history_
        assert {id(estimator) for estimator, _ in told} == {id(model)}
        assert model.n_iter_ == 3

    def test_verbose_prints_each_epoch(self, capsys: pytest.CaptureFixture[str]) -> None:
        TableClassifier(**QUICK, verbose=True).fit(*people())
        assert capsys.readouterr().out.count("validation loss") == 5


class TestPublish:
    def test_a_classifier_with_its_preprocessing(self, tmp_path: Path) -> None:
        (X, y), test = people(), people(100, seed=1)
        model = TableClassifier(**QUICK).fit(X, y)
        folder = model.publish(tmp_path, "people", train=(X, y), test=test)
        published = artifact.read(folder)
        assert [(each.name, each.kind) for each in published.manifest.features] == [
            ("age", "numeric"),
            ("job", "categorical"),
            ("member", "boolean"),
            ("zone", "categorical"),
        ]
        assert published.manifest.classes == ("no", "yes")
        assert published.manifest.features[3].categories == ("1", "2", "3")
        golden = golden_of(published)
        expected = model.predict_proba(test[0])
        assert all(np.abs(expected - row).max(axis=1).min() < 1e-6 for row in golden["probabilities"])

    @pytest.mark.parametrize("column", ["member", "height"])
    def test_rows_that_the_server_would_reject_are_named(self, column: str, tmp_path: Path) -> None:
        X, y = people()
        X = X.assign(member=np.where(X["member"], "yes", "no"), height=1.8)
        model = TableClassifier(**QUICK).fit(X, y)
        X_test = X.assign(**{column: ["?" if column == "member" else np.nan, *X[column][1:]]})
        with pytest.raises(DataError, match=rf"missing values or unknown categories in '{column}' \(1 row\), and"):
            model.publish(tmp_path, "people", train=(X, y), test=(X_test, y))
        assert not list(tmp_path.iterdir())

    def test_a_regressor(self, tmp_path: Path) -> None:
        (X, _), (X_test, _) = people(), people(100, seed=1)
        y, y_test = (each["age"].fillna(50).to_numpy() * 1000 for each in (X, X_test))
        model = TableRegressor(**QUICK, loss="huber").fit(X, y)
        folder = model.publish(tmp_path, "ages", train=(X, y), test=(X_test, y_test))
        assert artifact.read(folder).manifest.scores["fp32"]["r2"] == pytest.approx(
            model.score(X_test, y_test), abs=1e-4
        )


def test_summary() -> None:
    model = TableClassifier(**QUICK).fit(*people())
    text = model.summary()
    assert text.startswith("TableClassifier: 4 columns\n")
    assert "trained 5 epochs in" in text
    assert f"has the weights of epoch {model.best_epoch_.number}: training loss" in text


def test_examples_run() -> None:
    found = doctest.testmod(tables)
    assert found.failed == 0
    assert found.attempted == 11
