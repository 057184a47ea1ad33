"""A published pipeline answers raw rows with what scikit-learn's pipeline predicts."""

from __future__ import annotations

import doctest
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from service import artifact
from service.manifest import Feature
from training import MLPClassifier, MLPRegressor, TableClassifier, publish
from training.data.dataset import Column
from training.errors import OptionError, PipelineError, TrainingError
from training.estimators import folding, pipelines, publishing
from training.recipe.train import outputs_of
from training.release import onnx_export, onnx_runtime

# The graph computes in float32, the pipeline in float64.
TOLERANCE = 2e-5
NETWORK: dict[str, Any] = {"hidden_layer_sizes": (12,), "solver": "lbfgs", "max_iter": 20, "random_state": 0}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Found unknown categories"),
]


def rows(count: int = 120, seed: int = 0) -> tuple[pd.DataFrame, NDArray[Any]]:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(count) < 0.1, np.nan, random.normal(40, 9, count)),
            "income": random.normal(50_000, 9000, count),
            "job": np.where(random.random(count) < 0.1, None, random.choice(["cook", "nurse", "clerk"], count)),
            "zone": random.choice([1, 2, 3], count, p=[0.6, 0.3, 0.1]),
            "member": random.random(count) < 0.5,
            "noise": ["?"] * count,
        }
    )
    return frame, np.where((frame["age"].fillna(0) > 40) ^ (frame["job"] == "cook"), "yes", "no")


def numbers(*steps: Any) -> Any:
    """Imputation and ``steps`` for the columns of numbers."""
    return make_column_transformer((make_pipeline(SimpleImputer(), *steps), ["age", "income"]))


def categories(*steps: Any, columns: Any = ("job",)) -> Any:
    return make_column_transformer((make_pipeline(*steps), list(columns)))


FILLED = SimpleImputer(strategy="most_frequent")
FOLDABLE: dict[str, Any] = {
    "standard": numbers(StandardScaler()),
    "min max": numbers(MinMaxScaler((-1, 1))),
    "robust, then max abs": numbers(RobustScaler(), MaxAbsScaler()),
    "scaled before imputed": make_column_transformer((make_pipeline(StandardScaler(), SimpleImputer()), ["age"])),
    "median with indicator": make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), ["income", "age"])
    ),
    "constant": make_column_transformer((SimpleImputer(strategy="constant", fill_value=-1.0), ["age"])),
    "passthrough and drop": make_column_transformer(
        ("passthrough", ["member"]), ("drop", ["noise"]), (StandardScaler(), ["income"])
    ),
    "remainder": ColumnTransformer(
        [("job", OneHotEncoder(), ["job"]), ("rest", "drop", ["age", "noise"])], remainder=StandardScaler()
    ),
    "one-hot with a category for missing": categories(OneHotEncoder(handle_unknown="ignore")),
    "imputed one-hot": categories(FILLED, OneHotEncoder(drop="first")),
    "a fill of its own": categories(
        SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(sparse_output=False)
    ),
    "rare categories": categories(
        OneHotEncoder(min_frequency=0.2, handle_unknown="infrequent_if_exist"), columns=("zone",)
    ),
    "ordinal, then scaled": categories(FILLED, OrdinalEncoder(), StandardScaler(), columns=("job", "zone")),
    "target encoder": categories(FILLED, TargetEncoder()),
    "booleans one-hot": categories(OneHotEncoder(drop="if_binary"), columns=("member",)),
    "nested, with components": make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=float)),
            (make_pipeline(FILLED, OneHotEncoder(handle_unknown="ignore", sparse_output=False)), ["job", "zone"]),
        ),
        PCA(4, random_state=0),
        FunctionTransformer(),
    ),
    # As read-only arrays, since pandas 3.
    "frames between the steps": make_pipeline(
        numbers(StandardScaler()).set_output(transform="pandas"), SelectKBest(k=1).set_output(transform="pandas")
    ),
    "union and selection": make_pipeline(
        numbers(StandardScaler()), FeatureUnion([("all", "passthrough"), ("best", SelectKBest(k=1))])
    ),
}


def with_types_of_pandas() -> tuple[pd.DataFrame, NDArray[Any]]:
    """Columns of types that numpy has not, the first value of each of them missing."""
    X, y = rows()
    hole = np.arange(len(X)) % 7 == 0
    return X.assign(
        visits=pd.Series(np.where(hole, None, np.arange(len(X)) % 5), dtype="Int64"),
        rate=pd.Series(np.where(hole, None, np.arange(len(X)) % 4 + 0.5), dtype="double[pyarrow]"),
        vip=pd.Series(np.where(hole, None, np.arange(len(X)) % 2 == 0), dtype="boolean"),
        team=pd.Series(np.where(hole, None, np.arange(len(X)) % 3 == 0), dtype=object),
        grade=pd.Categorical(np.where(hole, None, np.arange(len(X)) % 3), categories=[3, 2, 1, 0]),
        town=pd.Series(np.where(hole, None, X["zone"].map({1: "Bonn", 2: "Trier", 3: "Ulm"})), dtype="string"),
        when=pd.Timestamp("2024-02-29"),
    ), y


def raw(frame: pd.DataFrame, features: Sequence[Column | Feature]) -> NDArray[np.float64]:
    """Rows as the server encodes them."""
    encoded = []
    for feature in features:
        values = frame[feature.name].tolist()
        if feature.categories:
            codes = {name: float(code) for code, name in enumerate(feature.categories)}
            texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
            values = [codes.get(text, float(len(codes))) for text in texts]
        missing = frame[feature.name].isna()
        encoded.append([np.nan if hole else float(each) for hole, each in zip(missing, values, strict=True)])
    return np.column_stack(encoded)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_a_column_that_the_imputer_leaves_out_is_not_needed() -> None:
    """Medians of float32 are float32, whose NaN is no float of Python's."""
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    X[:, 1] = np.nan
    steps = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), SelectKBest(k=1)).fit(X, X[:, 0] > 0)
    assert [column.name for column in folding.fold(steps, X).columns] == ["x0", "x2"]


@pytest.mark.parametrize("name", FOLDABLE)
def test_the_network_computes_what_the_pipeline_predicts(name: str) -> None:
    X, y = rows()
    X_test, _ = rows(60, seed=1)
    model = make_pipeline(FOLDABLE[name], MLPClassifier(**NETWORK)).fit(X, y)
    folded = folding.fold(model[:-1], X)
    inputs = raw(X_test, folded.columns)
    np.testing.assert_array_equal(folded.inputs(X_test), inputs)
    network = publishing.folded_network(model[-1]._served_body()[0], folded, torch.float32)
    outputs = onnx_export.outputs_of(outputs_of(network, inputs), "softmax")[0]
    np.testing.assert_allclose(outputs, model.predict_proba(X_test), atol=TOLERANCE)


UNKNOWN_TO_SCIKIT = SimpleImputer(missing_values=pd.NA, strategy="constant", fill_value="none")


@pytest.mark.parametrize(
    "steps",
    [
        make_column_transformer((StandardScaler(), ["income"])),  # the others are not used
        make_column_transformer((make_pipeline(StandardScaler(), SimpleImputer()), ["visits", "rate", "vip"])),
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["visits", "rate", "vip", "team", "grade"])),
        make_column_transformer((make_pipeline(UNKNOWN_TO_SCIKIT, OneHotEncoder()), ["town"])),
    ],
    ids=["unused", "numbers", "categories", "strings"],
)
def test_types_of_pandas(steps: Any) -> None:
    X, y = with_types_of_pandas()
    model = make_pipeline(steps, MLPClassifier(**NETWORK)).fit(X, y)
    folded = folding.fold(model[:-1], X)
    inputs = folded.inputs(X)
    np.testing.assert_array_equal(inputs, raw(X, folded.columns))
    network = publishing.folded_network(model[-1]._served_body()[0], folded, torch.float32)
    outputs = onnx_export.outputs_of(outputs_of(network, inputs), "softmax")[0]
    np.testing.assert_allclose(outputs, model.predict_proba(X), atol=TOLERANCE)
    types = {column.name: column.type for column in folded.columns}
    assert {types[name] for name in {"vip", "team"} & types.keys()} <= {"boolean"}
    assert all(column.missing for column in folded.columns if column.name != "income")


def test_steps_on_the_frame_of_the_steps_before_them() -> None:
    """Their columns have names of their own."""
    X, y = rows()
    frames = numbers(StandardScaler()).set_output(transform="pandas")
    steps = make_pipeline(frames, make_column_transformer(("passthrough", ["pipeline__income"]))).fit(X, y)
    folded = folding.fold(steps, X)
    found = folded.encoded(folded.inputs(X)) @ folded.matrix + folded.constant
    np.testing.assert_allclose(found, steps.transform(X), atol=TOLERANCE)


def test_columns_are_asked_about_together() -> None:
    """One by one, a thousand columns of a frame took minutes."""

    class Counting(StandardScaler):
        calls = 0

        def transform(self, X: Any, copy: Any = None) -> Any:
            Counting.calls += 1
            return super().transform(X, copy)

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 300)), columns=[f"c{index}" for index in range(300)])
    steps = make_pipeline(Counting()).fit(X)
    assert len(folding.fold(steps, X).columns) == 300
    assert Counting.calls < 10


def test_a_column_of_dates_is_named() -> None:
    X, y = with_types_of_pandas()
    steps = make_pipeline(make_column_transformer((StandardScaler(), ["when"]))).fit(X, y)
    with pytest.raises(PipelineError, match=r"column 'when' has type datetime64.*, which the graph cannot read"):
        folding.fold(steps, X)


def test_a_version_answers_what_the_pipeline_predicts(tmp_path: Path) -> None:
    X, y = rows()
    X_test, y_test = rows(60, seed=1)
    model = make_pipeline(FOLDABLE["nested, with components"], MLPClassifier(**NETWORK)).fit(X, y)
    published = artifact.read(publish(model, tmp_path, "mine", train=(X, y), test=(X_test, y_test)))
    found = onnx_runtime.run(published.model, raw(X_test, published.manifest.features))[0]
    np.testing.assert_allclose(found, model.predict_proba(X_test), atol=TOLERANCE)


def test_unused_columns_are_not_asked_for(tmp_path: Path) -> None:
    X, y = rows()
    model = make_pipeline(FOLDABLE["passthrough and drop"], MLPClassifier(**NETWORK)).fit(X, y)
    published = artifact.read(publish(model, tmp_path, "mine", train=(X, y), test=rows(60, seed=1)))
    assert [(each.name, each.kind, each.missing) for each in published.manifest.features] == [
        ("income", "numeric", False),
        ("member", "boolean", False),
    ]


def test_a_number_that_was_never_missing_may_be_where_it_is_imputed(tmp_path: Path) -> None:
    X, y = rows()
    model = make_pipeline(numbers(StandardScaler()), MLPClassifier(**NETWORK)).fit(X, y)
    published = artifact.read(publish(model, tmp_path, "mine", train=(X, y), test=rows(60, seed=1)))
    assert [each.missing for each in published.manifest.features] == [True, True]


def test_an_array_of_numbers(tmp_path: Path) -> None:
    X, y = rows()
    inputs = X[["income", "zone"]].to_numpy(float)
    model = make_pipeline(StandardScaler(), MLPClassifier(**NETWORK)).fit(inputs, y)
    published = artifact.read(publish(model, tmp_path, "mine", train=(inputs, y), test=(inputs[:40], y[:40])))
    assert [each.name for each in published.manifest.features] == ["x0", "x1"]


class TestRegressors:
    def test_the_scaling_of_the_target_is_part_of_the_graph(self, tmp_path: Path) -> None:
        X, _ = rows()
        y = X["income"] * 3 + 1e6
        network = make_pipeline(numbers(StandardScaler()), MLPRegressor(**NETWORK))
        model = TransformedTargetRegressor(network, transformer=StandardScaler()).fit(X, y)
        published = artifact.read(publish(model, tmp_path, "mine", train=(X, y), test=(X[:50], y[:50])))
        assert published.manifest.scores["fp32"]["r2"] == pytest.approx(model.score(X[:50], y[:50]), abs=1e-4)

    def test_another_transformer_is_refused(self, tmp_path: Path) -> None:
        X, _ = rows()
        y = X["income"]
        model = TransformedTargetRegressor(
            make_pipeline(numbers(StandardScaler()), MLPRegressor(**NETWORK)), func=np.log, inverse_func=np.exp
        ).fit(X, y)
        with pytest.raises(PipelineError, match=r"the transformer of the target .* is not linear"):
            publish(model, tmp_path, "mine", train=(X, y), test=(X, y))


class TestWithoutSteps:
    def test_a_search_and_an_estimator_alone(self, tmp_path: Path) -> None:
        X, y = rows()
        inputs = X[["income", "zone"]].to_numpy(float) / 50_000
        search = GridSearchCV(MLPClassifier(**NETWORK), {"alpha": [1e-4, 1e-2]}, cv=2).fit(inputs, y)
        assert publish(search, tmp_path, "mine", train=(inputs, y), test=(inputs, y)).name == "1"
        table = make_pipeline("passthrough", TableClassifier(epochs=2, hidden=(4,))).fit(X, y)
        assert publish(table, tmp_path, "table", train=(X, y), test=(X, y)).name == "1"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            numbers(PowerTransformer()),
            r"'pipeline' → 'powertransformer' \(PowerTransformer\) cannot be part of the graph",
        ),
        (numbers(MinMaxScaler(clip=True)), r"\(MinMaxScaler\) .* clip=True is not linear; use clip=False"),
        (numbers(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")), r"\(KBinsDiscretizer\) cannot"),
        (numbers(StandardScaler(), OneHotEncoder(handle_unknown="ignore")), "it encodes what another step computed"),
        (
            FeatureUnion(
                [
                    ("a", categories(OneHotEncoder(), columns=["zone"])),
                    ("b", make_column_transformer((StandardScaler(), ["zone"]))),
                ]
            ),
            "column 'zone' is used both as a number and by its categories",
        ),
        (
            make_column_transformer((SimpleImputer(missing_values=1), ["zone"])),
            "missing_values is 1, and only NaN or None is missing",
        ),
    ],
    ids=["power", "clip", "bins", "encoded late", "both", "other missing values"],
)
def test_a_step_that_cannot_be_folded_is_named(steps: Any, message: str, tmp_path: Path) -> None:
    X, y = rows()
    model = make_pipeline(steps, MLPClassifier(**NETWORK)).fit(X, y)
    with pytest.raises(PipelineError, match=message) as raised:
        publish(model, tmp_path, "mine", train=(X, y), test=(X, y))
    assert "TableClassifier" in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, _: X, "test is of type DataFrame, expected a tuple (X, y)"),
        (lambda X, y: (X, y[1:]), "test has 120 rows in X and 119 in y, expected as many"),
        (lambda X, y: (y, X), "test has X of type ndarray, expected a DataFrame of pandas or an array (rows, columns)"),
        (lambda X, y: (X[["age"]], y), "test has no column 'income' in X, expected those of fit"),
    ],
    ids=["no tuple", "lengths", "swapped", "a column less"],
)
def test_rows_that_do_not_fit_are_named(change: Any, message: str, tmp_path: Path) -> None:
    X, y = rows()
    X = X[["age", "income"]]
    model = make_pipeline(numbers(StandardScaler()), MLPClassifier(**NETWORK)).fit(X, y)
    with pytest.raises(OptionError, match=re.escape(message)):
        publish(model, tmp_path, "mine", train=(X, y), test=change(X, y))


def test_columns_may_be_in_another_order_than_in_fit(tmp_path: Path) -> None:
    X, y = rows()
    model = make_pipeline(numbers(StandardScaler()), MLPClassifier(**NETWORK)).fit(X, y)
    other = X[X.columns[::-1]]
    assert publish(model, tmp_path, "mine", train=(other, y), test=(other.assign(more=1), y)).name == "1"


def test_a_regression_on_one_test_row_and_on_lists(tmp_path: Path) -> None:
    X = rows()[0][["income"]].to_numpy()
    model = make_pipeline(StandardScaler(), MLPRegressor(**NETWORK)).fit(X, X[:, 0] / 1e4)
    given = X.tolist(), (X[:, 0] / 1e4).tolist()
    assert publish(model, tmp_path, "mine", train=given, test=(given[0][:1], given[1][:1])).name == "1"


def test_other_estimators_are_refused(tmp_path: Path) -> None:
    X, y = rows()
    other = make_pipeline(numbers(StandardScaler()), LogisticRegression()).fit(X, y)
    with pytest.raises(OptionError, match="publish got LogisticRegression, expected MLPClassifier"):
        publish(other, tmp_path, "mine", train=(X, y), test=(X, y))
    table = make_pipeline(numbers(StandardScaler()), TableClassifier(epochs=2, hidden=(4,))).fit(X, y)
    with pytest.raises(PipelineError, match="TableClassifier takes raw columns"):
        publish(table, tmp_path, "mine", train=(X, y), test=(X, y))


def test_the_doubted_steps_are_compared_on_all_rows(tmp_path: Path) -> None:
    """A step whose probes are right, and whose rows are not."""

    class Odd(StandardScaler):
        def transform(self, X: Any, copy: Any = None) -> Any:
            found = super().transform(X, copy)
            return found + ((found > 0.1) & (found < 0.9))

    X, y = rows()
    inputs = X[["income"]].to_numpy()
    model = make_pipeline(Odd(), MLPClassifier(**NETWORK)).fit(inputs, y)
    with pytest.raises(TrainingError, match=re.escape("do not add up column by column")):
        publish(model, tmp_path, "mine", train=(inputs, y), test=(inputs, y))


def test_the_example_runs() -> None:
    found = doctest.testmod(pipelines)
    assert found == doctest.TestResults(failed=0, attempted=10)
