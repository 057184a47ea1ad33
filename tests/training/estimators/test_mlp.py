"""MLPClassifier and MLPRegressor compared with scikit-learn's, and what they add."""

from __future__ import annotations

import inspect
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils._param_validation import Interval, generate_invalid_param_val, make_constraint
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import check_estimator
from torch import Tensor

from service import artifact
from tests.training import small
from training import MLPClassifier, MLPRegressor
from training.engine.trainer import Epoch
from training.errors import NotPromoted, TrainingError
from training.release import onnx_runtime

Arrays = tuple[NDArray[Any], NDArray[Any]]
# Most networks here are trained for a few epochs only.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris(rows: int = 150) -> Arrays:
    """Three classes, shuffled."""
    order = np.random.default_rng(0).permutation(150)[:rows]
    inputs, targets = load_iris(return_X_y=True)
    return scale(inputs)[order], targets[order]


def cancer() -> Arrays:
    """Two classes, as strings."""
    inputs, targets = load_breast_cancer(return_X_y=True)
    return scale(inputs), np.array(["malignant", "benign"])[targets]


def labels() -> Arrays:
    """Several labels per row."""
    inputs, targets = make_multilabel_classification(200, 8, n_classes=4, random_state=0)
    return scale(inputs), targets


def diabetes() -> Arrays:
    """A regression."""
    inputs, targets = load_diabetes(return_X_y=True)
    return scale(inputs), scale(targets)


CLASSES = {"iris": iris, "cancer": cancer, "labels": labels}


@pytest.fixture(params=CLASSES)
def classes(request: pytest.FixtureRequest) -> Arrays:
    return CLASSES[request.param]()


# Skipped for scikit-learn's MLPs, too: they need a setting of scikit-learn, or a method that an MLP does not have.
NOT_APPLICABLE = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}


@pytest.mark.parametrize("estimator", [MLPClassifier(), MLPRegressor()], ids=["classifier", "regressor"])
@pytest.mark.filterwarnings("ignore")
def test_passes_the_estimator_checks_of_scikit_learn(estimator: Any) -> None:
    found = {each["check_name"]: each["status"] for each in check_estimator(estimator, on_fail=None)}
    assert {name for name, status in found.items() if status != "passed"} <= NOT_APPLICABLE
    assert len(found) > 50


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)],
    ids=["classifier", "regressor"],
)
class TestParameters:
    def test_include_those_of_scikit_learn_with_the_same_defaults(self, ours: type, theirs: type) -> None:
        assert ours().get_params().items() >= theirs().get_params().items()

    def test_positional_ones_are_the_same(self, ours: type, theirs: type) -> None:
        assert positional(ours) == positional(theirs)

    def test_values_that_scikit_learn_rejects_are_rejected(self, ours: type, theirs: type) -> None:
        inputs, targets = iris(30)
        for name, constraints in theirs._parameter_constraints.items():
            for constraint in map(make_constraint, constraints):
                try:
                    value = generate_invalid_param_val(constraint)
                except NotImplementedError:
                    continue
                if any(make_constraint(other).is_satisfied_by(value) for other in constraints):
                    continue
                with pytest.raises(ValueError, match=rf"^{ours.__name__}: {name} is .*, expected "):
                    ours(**{name: value}).fit(inputs, targets)

    def test_ends_of_its_ranges_are_accepted(self, ours: type, theirs: type) -> None:
        for name, constraints in theirs._parameter_constraints.items():
            for constraint in map(make_constraint, constraints):
                if isinstance(constraint, Interval):
                    for end in (constraint.left, constraint.right):
                        if end is not None and constraint.is_satisfied_by(end):
                            ours(**{name: end}).check()


def positional(estimator: type) -> list[str]:
    parameters = inspect.signature(estimator).parameters.values()
    return [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]


class TestSameSeedSameNetwork:
    """Random numbers are drawn in the same order: in float64 the results agree up to rounding."""

    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize(
        "parameters",
        [
            {"solver": "adam", "learning_rate_init": 0.01},
            {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "batch_size": 7, "alpha": 0.5},
            {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2, "learning_rate_init": 0.1},
            {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.01},
            {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "shuffle": False, "batch_size": 32},
            {"solver": "sgd", "momentum": 0},
            {"solver": "lbfgs"},
        ],
    )
    def test_classes(self, parameters: dict[str, Any], early_stopping: bool, classes: Arrays) -> None:
        parameters = {"random_state": 3, "max_iter": 40, "hidden_layer_sizes": (9, 5), **parameters}
        ours = MLPClassifier(early_stopping=early_stopping, **parameters).fit(*classes)
        theirs = neural_network.MLPClassifier(early_stopping=early_stopping, **parameters).fit(*classes)
        same(ours, theirs)
        np.testing.assert_allclose(ours.predict_proba(classes[0]), theirs.predict_proba(classes[0]), rtol=1e-6)
        np.testing.assert_array_equal(ours.predict(classes[0]), theirs.predict(classes[0]))

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_numbers(self, solver: str, activation: str) -> None:
        inputs, targets = diabetes()
        parameters = {"solver": solver, "activation": activation, "random_state": 1, "max_iter": 30}
        ours = MLPRegressor(**parameters).fit(inputs, targets)
        theirs = neural_network.MLPRegressor(**parameters).fit(inputs, targets)
        same(ours, theirs)
        np.testing.assert_allclose(ours.predict(inputs), theirs.predict(inputs), rtol=1e-5)

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_counts(self, solver: str) -> None:
        inputs, _ = diabetes()
        counts = np.random.default_rng(0).poisson(np.exp(inputs[:, 2]))
        parameters = {"loss": "poisson", "solver": solver, "random_state": 1, "max_iter": 20}
        same(
            MLPRegressor(**parameters).fit(inputs, counts),
            neural_network.MLPRegressor(**parameters).fit(inputs, counts),
        )

    def test_weighted_rows(self) -> None:
        inputs, targets = iris()
        weights = np.random.default_rng(0).integers(0, 4, len(inputs)).astype(float)
        for parameters in ({"solver": "adam", "batch_size": 40}, {"solver": "lbfgs"}, {"early_stopping": True}):
            common = {"random_state": 1, "max_iter": 20, **parameters}
            ours = MLPClassifier(**common).fit(inputs, targets, weights)
            same(ours, neural_network.MLPClassifier(**common).fit(inputs, targets, weights))

    def test_several_targets_whose_losses_are_summed(self) -> None:
        inputs, targets = diabetes()
        several = np.column_stack([targets, -targets, inputs[:, 0]])
        parameters = {"random_state": 1, "max_iter": 20, "tol": 0, "n_iter_no_change": np.inf}
        ours = MLPRegressor(**parameters).fit(inputs, several)
        theirs = neural_network.MLPRegressor(**parameters).fit(inputs, several)
        for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_partial_fit(self, solver: str) -> None:
        inputs, targets = iris()
        ours, theirs = (made(solver=solver, random_state=0) for made in (MLPClassifier, neural_network.MLPClassifier))
        for part in np.array_split(np.arange(len(inputs)), 9):
            for each in (ours, theirs):
                each.partial_fit(inputs[part], targets[part], classes=[0, 1, 2])
        same(ours, theirs)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_warm_start(self, solver: str) -> None:
        inputs, targets = iris()
        parameters = {"solver": solver, "random_state": 0, "max_iter": 8, "warm_start": True}
        ours, theirs = MLPClassifier(**parameters), neural_network.MLPClassifier(**parameters)
        for each in (ours, theirs):
            each.fit(inputs, targets).fit(inputs, targets)
        same(ours, theirs)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_more_rows_than_one_chunk(self, weighted: bool) -> None:
        inputs, targets = (np.tile(each, (70, 1))[:9000] for each in (diabetes()[0], diabetes()[1][:, None]))
        weights = np.linspace(0, 2, len(inputs)) if weighted else None
        parameters = {"solver": "lbfgs", "hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0}
        ours = MLPRegressor(**parameters).fit(inputs, targets.ravel(), weights)
        theirs = neural_network.MLPRegressor(**parameters).fit(inputs, targets.ravel(), weights)
        same(ours, theirs)
        sparse_fitted = MLPRegressor(**parameters).fit(sparse.csr_array(inputs), targets.ravel(), weights)
        np.testing.assert_allclose(
            sparse_fitted.predict(sparse.csr_array(inputs)), theirs.predict(inputs), rtol=1e-5, atol=1e-8
        )

    def test_no_hidden_layer_and_one_given_as_an_int(self) -> None:
        inputs, targets = iris()
        for sizes in ((), 7):
            parameters = {"hidden_layer_sizes": sizes, "random_state": 0, "max_iter": 8}
            same(
                MLPClassifier(**parameters).fit(inputs, targets),
                neural_network.MLPClassifier(**parameters).fit(inputs, targets),
            )


def same(ours: Any, theirs: Any) -> None:
    """Check that all public attributes of ``theirs`` are those of ``ours``."""
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if ours.solver == "lbfgs" else {"rtol": 1e-6, "atol": 1e-9}
    for mine, other in zip((*ours.coefs_, *ours.intercepts_), (*theirs.coefs_, *theirs.intercepts_), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, **tolerance)
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    for name in public - {"coefs_", "intercepts_"}:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if other is None or np.asarray(other).dtype.kind not in "fiu":
            np.testing.assert_array_equal(mine, other, name)
        else:
            np.testing.assert_allclose(mine, other, err_msg=name, **tolerance)


class TestInScikitLearn:
    def test_pipeline_grid_search_and_cross_validation(self) -> None:
        pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=30, random_state=0))
        search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(2,), (20,)]}, cv=3, error_score="raise")
        inputs, targets = iris()
        search.fit(inputs, targets)
        assert search.best_params_ == {"mlpclassifier__hidden_layer_sizes": (20,)}
        scores = cross_val_score(MLPRegressor(solver="lbfgs", alpha=100), *diabetes(), cv=3, error_score="raise")
        assert scores.min() > 0.3

    def test_clone_has_the_parameters_and_is_not_fitted(self) -> None:
        original = MLPClassifier((5,), dropout=0.1, class_weight={0: 2.0}, max_iter=2).fit(*iris())
        copied = clone(original)
        assert copied.get_params() == original.get_params()
        with pytest.raises(NotFittedError):
            copied.predict(iris()[0])
        with pytest.raises(AttributeError, match=r"^this MLPClassifier is not fitted yet$"):
            copied.coefs_  # noqa: B018 - reading it raises

    @pytest.mark.parametrize("through", ["pickle", "joblib"])
    def test_loaded_estimator_predicts_and_continues_the_same(self, through: str, tmp_path: Path) -> None:
        inputs, targets = iris()
        saved = MLPClassifier(batch_norm=True, random_state=0).partial_fit(inputs, targets, classes=[0, 1, 2])
        if through == "pickle":
            loaded = pickle.loads(pickle.dumps(saved))  # noqa: S301 - pickled here
        else:
            joblib.dump(saved, tmp_path / "file")
            loaded = joblib.load(tmp_path / "file")
        np.testing.assert_array_equal(loaded.predict_proba(inputs), saved.predict_proba(inputs))
        for each in (saved, loaded):
            each.partial_fit(inputs, targets)
        np.testing.assert_array_equal(loaded.predict_proba(inputs), saved.predict_proba(inputs))

    def test_a_pickle_has_only_the_network_and_the_solver(self) -> None:
        fitted = MLPClassifier((200,), max_iter=1).fit(*cancer())
        network_bytes = sum(each.nbytes for each in (*fitted.coefs_, *fitted.intercepts_))
        assert len(pickle.dumps(fitted)) < 3 * network_bytes + 10_000

    def test_changing_coefs_changes_predictions(self) -> None:
        fitted = MLPClassifier(max_iter=1).fit(*iris())
        for weights in fitted.coefs_:
            weights[...] = 0
        assert np.ptp(fitted.predict_proba(iris()[0]), axis=0) == pytest.approx([0, 0, 0])

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("matrix", [sparse.csr_matrix, sparse.csc_array])
    def test_sparse_rows_give_the_same_results(self, solver: str, matrix: Any) -> None:
        inputs, targets = iris()
        inputs[np.abs(inputs) < 0.5] = 0
        parameters = {"solver": solver, "random_state": 0, "max_iter": 5, "early_stopping": solver == "adam"}
        dense, sparse_fitted = (
            MLPClassifier(**parameters).fit(inputs, targets),
            MLPClassifier(**parameters).fit(matrix(inputs), targets),
        )
        np.testing.assert_allclose(sparse_fitted.predict_proba(matrix(inputs)), dense.predict_proba(inputs), rtol=1e-9)

    def test_global_random_state_of_torch_is_untouched(self) -> None:
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        first, second = (MLPClassifier(dropout=0.3, random_state=1, max_iter=3).fit(*iris()) for _ in range(2))
        assert torch.rand(1) == expected
        np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


class TestBeyondScikitLearn:
    def test_class_weights_equal_row_weights(self) -> None:
        inputs, targets = cancer()
        common = {"random_state": 0, "max_iter": 5}
        by_class = MLPClassifier(class_weight={"benign": 3, "malignant": 0.5}, **common).fit(inputs, targets)
        by_row = MLPClassifier(**common).fit(inputs, targets, np.where(targets == "benign", 3, 0.5))
        np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
        balanced = MLPClassifier(class_weight="balanced", **common).fit(inputs, targets)
        weights = compute_sample_weight("balanced", targets)
        np.testing.assert_array_equal(
            balanced.coefs_[0], MLPClassifier(**common).fit(inputs, targets, weights).coefs_[0]
        )

    def test_class_weights_that_cannot_be_used(self) -> None:
        with pytest.raises(
            ValueError, match=r"^class_weight does not apply to several labels per row; use sample_weig"
        ):
            MLPClassifier(class_weight="balanced").fit(*labels())
        with pytest.raises(ValueError, match=r"^class_weight 'balanced' needs all rows, and partial_fit sees only s"):
            MLPClassifier(class_weight="balanced").partial_fit(*iris(), classes=[0, 1, 2])

    @pytest.mark.parametrize("activation", ["gelu", "silu"])
    def test_additional_activations(self, activation: str) -> None:
        assert (
            MLPClassifier(activation=activation, learning_rate_init=0.01, random_state=0).fit(*iris()).score(*iris())
            > 0.95
        )

    def test_dropout_and_batch_norm_are_off_in_prediction(self) -> None:
        inputs, targets = iris()
        for parameters in ({"dropout": 0.5}, {"batch_norm": True, "batch_size": 149}):
            fitted = MLPClassifier(learning_rate_init=0.01, random_state=0, **parameters).fit(inputs, targets)
            assert fitted.score(inputs, targets) > 0.93
            alone = np.concatenate([fitted.predict_proba(row[None]) for row in inputs])
            np.testing.assert_allclose(alone, fitted.predict_proba(inputs), rtol=1e-9)

    @pytest.mark.parametrize("name", ["dropout", "batch_norm"])
    def test_lbfgs_has_neither_dropout_nor_batch_norm(self, name: str) -> None:
        with pytest.raises(
            ValueError, match=f"^MLPClassifier: {name} needs mini-batches, and the solver 'lbfgs' has none"
        ):
            MLPClassifier(solver="lbfgs", **{name: 0.5 if name == "dropout" else True}).fit(*iris())

    @pytest.mark.parametrize("loss", ["absolute_error", "huber"])
    def test_robust_losses_ignore_outliers(self, loss: str) -> None:
        inputs = np.linspace(-1, 1, 200)[:, None]
        targets = 2 * inputs[:, 0]
        targets[::10] += 100
        robust, squared = (
            MLPRegressor(loss=each, solver="adam", learning_rate_init=0.01, random_state=0).fit(inputs, targets)
            for each in (loss, "squared_error")
        )
        errors = [np.median(np.abs(each.predict(inputs) - 2 * inputs[:, 0])) for each in (robust, squared)]
        assert errors[0] < 0.5
        assert errors[1] > 3

    def test_focal_loss_is_less_confident(self) -> None:
        for data in (iris(), cancer()):
            plain, focal = (MLPClassifier(loss=loss, random_state=0).fit(*data) for loss in ("log_loss", "focal"))
            assert focal.score(*data) > 0.95
            assert focal.predict_proba(data[0]).max(axis=1).mean() < plain.predict_proba(data[0]).max(axis=1).mean()

    def test_label_smoothing_is_less_confident(self, classes: Arrays) -> None:
        smooth, hard = (
            MLPClassifier(label_smoothing=share, alpha=0, solver="lbfgs", max_iter=300, random_state=0).fit(*classes)
            for share in (0.2, 0.0)
        )
        # The optimum is 1 for hard labels and 0.9 for smoothed ones; how near L-BFGS comes depends on rounding.
        assert smooth.predict_proba(classes[0]).max() < 0.97 < hard.predict_proba(classes[0]).max()
        assert smooth.score(*classes) > 0.9
        with pytest.raises(ValueError, match=r"^label_smoothing .* the loss 'log_loss'$"):
            MLPClassifier(label_smoothing=0.1, loss="focal").fit(*classes)

    def test_custom_loss(self) -> None:
        def half_squared(outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs - targets).square().sum(dim=1) / 2

        custom, built_in = (
            MLPRegressor(loss=loss, random_state=0, max_iter=5).fit(*diabetes())
            for loss in (half_squared, "squared_error")
        )
        np.testing.assert_allclose(custom.predict(diabetes()[0]), built_in.predict(diabetes()[0]), rtol=1e-9)

    def test_custom_loss_must_return_one_value_per_row(self) -> None:
        with pytest.raises(
            ValueError, match=r"^the loss has the shape \(\), expected \(200,\): one for each row, such as "
        ):
            MLPRegressor(loss=torch.nn.functional.mse_loss).fit(*diabetes())

    def test_validation_data_is_evaluated_and_not_trained_on(self) -> None:
        (inputs, targets), (validation, expected) = (part[:100] for part in iris()), (part[100:] for part in iris())
        fitted = MLPClassifier(max_iter=7, random_state=0).fit(inputs, targets, validation_data=(validation, expected))
        plain = MLPClassifier(max_iter=7, random_state=0).fit(inputs, targets)
        np.testing.assert_array_equal(fitted.coefs_[0], plain.coefs_[0])
        assert len(fitted.validation_loss_curve_) == len(fitted.loss_curve_) == 7
        assert fitted.validation_scores_[-1] == fitted.score(validation, expected)
        assert fitted.validation_loss_curve_[-1] == pytest.approx(log_loss(expected, fitted.predict_proba(validation)))

    def test_early_stopping_uses_validation_data_and_restores_the_best_epoch(self) -> None:
        (inputs, targets), (validation, expected) = (
            (part[:40] for part in diabetes()),
            (part[40:] for part in diabetes()),
        )
        stopping = MLPRegressor(early_stopping=True, learning_rate_init=0.02, random_state=0, n_iter_no_change=5)
        stopping.fit(inputs, targets, validation_data=(validation, expected))
        assert stopping.n_iter_ < 100
        assert max(stopping.validation_scores_) == stopping.best_validation_score_
        assert stopping.score(validation, expected) == pytest.approx(stopping.best_validation_score_)
        assert stopping.validation_scores_[-1] < stopping.best_validation_score_

    def test_validation_data_with_an_unknown_class(self) -> None:
        expected = r"^y has unknown classes: \[7\]; expected some of \[0 1 2\]$"
        with pytest.raises(ValueError, match=expected):
            MLPClassifier().fit(*iris(), validation_data=(iris()[0], np.full(150, 7)))

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_callbacks_are_called_after_each_epoch_and_can_stop(self, solver: str) -> None:
        calls: list[tuple[int, float, float]] = []
        inputs, targets = iris()

        def third(estimator: MLPClassifier, epoch: Epoch) -> bool:
            calls.append((epoch.number, epoch.train_loss, estimator.score(inputs, targets)))
            return epoch.number == 3

        fitted = MLPClassifier(solver=solver, callbacks=[third], random_state=0).fit(inputs, targets)
        assert [number for number, *_ in calls] == [1, 2, 3]
        assert fitted.n_iter_ == 3
        assert calls[-1][1:] == (pytest.approx(fitted.loss_), fitted.score(inputs, targets))

    def test_lbfgs_stopped_by_a_callback_does_not_warn(self) -> None:
        with warnings.catch_warnings(action="error"):
            MLPClassifier(solver="lbfgs", callbacks=[lambda _, epoch: epoch.number == 2], random_state=0).fit(*iris())

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("solvers", [["lbfgs", "adam"], ["adam", "lbfgs", "adam"]])
    def test_adam_continues_what_lbfgs_began(self, solvers: list[str], method: str) -> None:
        fitted = MLPClassifier(max_iter=3, warm_start=True, random_state=0)
        for solver in solvers[:-1]:
            fitted.set_params(solver=solver).fit(*iris())
        epochs = len(getattr(fitted, "loss_curve_", []))
        getattr(fitted.set_params(solver=solvers[-1]), method)(*iris())
        assert len(fitted.loss_curve_) == epochs + fitted.n_iter_
        assert fitted.history_[-1].train_loss == fitted.loss_curve_[-1] < 1

    def test_interrupted_fit_keeps_the_network(self) -> None:
        def interrupt(_: MLPClassifier, epoch: Epoch) -> None:
            if epoch.number == 2:
                raise KeyboardInterrupt

        with pytest.warns(UserWarning, match=r"^Training was interrupted; the network keeps what it has learned.$"):
            fitted = MLPClassifier(callbacks=[interrupt], random_state=0).fit(*iris())
        np.testing.assert_array_equal(
            fitted.coefs_[0], MLPClassifier(max_iter=2, random_state=0).fit(*iris()).coefs_[0]
        )

    def test_unavailable_device(self) -> None:
        if torch.cuda.is_available():
            assert MLPClassifier(device="cuda", max_iter=2).fit(*iris()).score(*iris()) > 0.3
        else:
            with pytest.raises(
                ValueError, match=r"^device is 'cuda', expected auto or one that torch .* finds here: cpu$"
            ):
                MLPClassifier(device="cuda").fit(*iris())


def test_warnings_name_the_line_that_called_fit() -> None:
    for solver in ("adam", "lbfgs"):
        with pytest.warns(ConvergenceWarning) as caught:
            MLPClassifier(solver=solver, max_iter=1).fit(*iris())
        assert caught[0].filename == __file__


class TestOnnx:
    @pytest.mark.parametrize("parameters", [{}, {"batch_norm": True, "dropout": 0.1, "activation": "gelu"}])
    def test_predicts_as_the_classifier(self, parameters: dict[str, Any], classes: Arrays, tmp_path: Path) -> None:
        inputs, targets = classes
        fitted = MLPClassifier((8, 4), max_iter=5, random_state=0, **parameters).fit(inputs, targets)
        fitted.export_onnx(tmp_path / "model.onnx")
        probabilities, prediction = onnx_runtime.run((tmp_path / "model.onnx").read_bytes(), inputs)
        np.testing.assert_allclose(probabilities, fitted.predict_proba(inputs), atol=1e-6)
        if targets.ndim == 1:
            np.testing.assert_array_equal(fitted.classes_[prediction], fitted.predict(inputs))
        else:
            np.testing.assert_array_equal(prediction, fitted.predict(inputs))

    @pytest.mark.parametrize("loss", ["squared_error", "poisson"])
    def test_predicts_as_the_regressor(self, loss: str, tmp_path: Path) -> None:
        inputs, targets = diabetes()
        several = np.column_stack([targets, 2 * targets]) - targets.min() * 2
        fitted = MLPRegressor(loss, (8,), max_iter=5, random_state=0).fit(inputs, several)
        fitted.export_onnx(tmp_path / "model.onnx")
        (values,) = onnx_runtime.run((tmp_path / "model.onnx").read_bytes(), inputs)
        np.testing.assert_allclose(values, fitted.predict(inputs), rtol=1e-5, atol=1e-5)


def near_zero() -> MLPRegressor:
    """A regressor fitted in float64, features and targets near zero."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    targets = np.sin(2 * inputs[:, 0]) + inputs[:, 1]
    return MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=300, random_state=0).fit(inputs, targets)


def far_from_zero(fitted: MLPRegressor) -> Arrays:
    """Change ``fitted`` to expect and predict seconds since 1970; returns such rows and targets."""
    random = np.random.default_rng(1)
    seconds = random.integers(-1800, 1800, 300)
    rows = np.column_stack([1_700_000_000 + seconds, random.uniform(-1, 1, 300)])
    targets = 1_700_000_000 + np.rint(1800 * (np.sin(2 * seconds / 1800) + rows[:, 1]))
    with torch.no_grad():
        first, last = fitted.body_[0], fitted.body_[-1]
        first.weight[:, 0] /= 1800
        first.bias -= first.weight[:, 0] * 1_700_000_000
        last.weight *= 1800
        last.bias.mul_(1800).add_(1_700_000_000)
    return rows, targets


class TestPublish:
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("kind", ["iris", "cancer", "diabetes"])
    def test_published_graph_predicts_as_the_estimator(self, kind: str, solver: str, tmp_path: Path) -> None:
        inputs, targets = {**CLASSES, "diabetes": diabetes}[kind]()
        (train, test), (train_targets, test_targets) = ((each[:100], each[100:]) for each in (inputs, targets))
        made = MLPRegressor if kind == "diabetes" else MLPClassifier
        fitted = made(hidden_layer_sizes=(9,), solver=solver, max_iter=9, random_state=0).fit(train, train_targets)
        folder = fitted.publish(tmp_path, kind, train=(train, train_targets), test=(test, test_targets))
        found = artifact.read(folder).manifest
        assert folder == tmp_path / kind / "1"
        assert found.config["solver"] == solver
        assert (found.seed, found.config["temperature"]) == (0, None)
        assert "alibration temperature" not in (folder / "README.md").read_text()
        outputs = onnx_runtime.run((folder / "model.onnx").read_bytes(), test)
        expected = fitted.predict(test)[:, None] if kind == "diabetes" else fitted.predict_proba(test)
        np.testing.assert_allclose(outputs[0], expected, atol=1e-5)
        if kind == "diabetes":
            assert found.scores["fp32"]["r2"] == pytest.approx(fitted.score(test, test_targets), rel=1e-5)
        else:
            assert found.scores["fp32"]["accuracy"] == fitted.score(test, test_targets)
            assert found.classes == tuple(fitted.classes_.tolist())
            assert {type(label) for label in found.classes} == {str if kind == "cancer" else int}

    def test_values_far_from_zero_are_published_in_float64(self, tmp_path: Path) -> None:
        rows, targets = far_from_zero(fitted := near_zero())
        folder = fitted.publish(tmp_path, "far", train=(rows[:200], targets[:200]), test=(rows[200:], targets[200:]))
        found = artifact.read(folder).manifest
        assert (found.input_dtype, found.output_dtype) == ("float64", "float64")
        assert found.scores["fp32"]["r2"] == pytest.approx(fitted.score(rows[200:], targets[200:]), abs=1e-5)
        assert found.scores["fp32"]["r2"] > 0.98
        (values,) = onnx_runtime.run((folder / "model.onnx").read_bytes(), rows)
        assert np.abs(values[:, 0] - fitted.predict(rows)).max() < 0.01  # seconds, in the range of an hour

    def test_a_network_that_needs_float64_layers_is_not_published(self, tmp_path: Path) -> None:
        rows, targets = far_from_zero(fitted := near_zero())
        with torch.no_grad():  # activations far from zero, compensated in the next layer
            fitted.body_[0].bias += 1e9
            fitted.body_[2].bias -= 1e9 * fitted.body_[2].weight.sum(dim=1)
        with pytest.raises(
            TrainingError,
            match=r"^in float32, as it would be served, the network's predictions differ by up to [\de.+]+ ",
        ):
            fitted.publish(tmp_path, "far", train=(rows, targets), test=(rows, targets))
        assert not (tmp_path / "far").exists()

    def test_validation_scores_use_the_targets_before_rounding(self) -> None:
        inputs = small.noise(200, 3)
        targets = 1e9 + inputs[:, 0].astype(np.float64)
        fitted = MLPRegressor(hidden_layer_sizes=(), max_iter=1, learning_rate_init=1e-9, random_state=0)
        with pytest.warns(ConvergenceWarning):
            fitted.fit(inputs, targets, validation_data=(inputs, targets))
        assert fitted.validation_scores_ == [pytest.approx(fitted.score(inputs, targets), rel=1e-3)]

    def test_several_labels_per_row_are_not_published(self, tmp_path: Path) -> None:
        fitted = MLPClassifier(max_iter=1).fit(*labels())
        with pytest.raises(
            TrainingError, match=r"^a model with several labels per row cannot be served; use export_onnx"
        ):
            fitted.publish(tmp_path, "labels", train=labels(), test=labels())

    def test_a_worse_or_breaking_version_is_published_on_request_only(self, tmp_path: Path) -> None:
        inputs, targets = load_digits(return_X_y=True)
        rows = {"train": (inputs[:1000], targets[:1000]), "test": (inputs[1000:], targets[1000:])}
        good = MLPClassifier((16,), solver="lbfgs", max_iter=100, random_state=0)
        bad = MLPClassifier((2,), solver="lbfgs", max_iter=3, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            good.fit(*rows["train"]).publish(tmp_path, "digits", **rows)
            bad.fit(*rows["train"])
        with pytest.raises(
            NotPromoted, match=r"\nnot published: digits is worse than version 1; it is kept; to publish"
        ):
            bad.publish(tmp_path, "digits", **rows)
        assert bad.publish(tmp_path, "digits", **rows, force=True).name == "2"
        few = {part: (each[:, :32], labels) for part, (each, labels) in rows.items()}
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            bad.fit(*few["train"])
        with pytest.raises(NotPromoted, match=r"^- a row has 32 features, and had 64\n"):
            bad.publish(tmp_path, "digits", **few, force=True)
        assert bad.publish(tmp_path, "digits", **few, breaking=True).name == "3"
