"""MLPClassifier and MLPRegressor against scikit-learn's, which they replace, and what they have beyond them."""

from __future__ import annotations

import inspect
import pickle
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
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
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
from training.errors import TrainingError
from training.release import onnx_runtime

Arrays = tuple[NDArray[Any], NDArray[Any]]
# Whether training was over in time is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris(rows: int = 150) -> Arrays:
    """Three classes, shuffled."""
    order = np.random.default_rng(0).permutation(150)[:rows]
    inputs, targets = load_iris(return_X_y=True)
    return scale(inputs)[order], targets[order]


def cancer() -> Arrays:
    """Two classes, as texts."""
    inputs, targets = load_breast_cancer(return_X_y=True)
    return scale(inputs), np.array(["malignant", "benign"])[targets]


def labels() -> Arrays:
    """Labels of which several may hold."""
    inputs, targets = make_multilabel_classification(200, 8, n_classes=4, random_state=0)
    return scale(inputs), targets


def diabetes() -> Arrays:
    """Numbers to predict."""
    inputs, targets = load_diabetes(return_X_y=True)
    return scale(inputs), scale(targets)


CLASSES = {"iris": iris, "cancer": cancer, "labels": labels}


@pytest.fixture(params=CLASSES)
def classes(request: pytest.FixtureRequest) -> Arrays:
    return CLASSES[request.param]()


# scikit-learn's own skip these too: two of its switches and methods that an MLP does not have.
NOT_FOR_AN_MLP = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}


@pytest.mark.parametrize("estimator", [MLPClassifier(), MLPRegressor()], ids=["classifier", "regressor"])
@pytest.mark.filterwarnings("ignore")
def test_every_check_of_scikit_learn_passes(estimator: Any) -> None:
    found = {each["check_name"]: each["status"] for each in check_estimator(estimator, on_fail=None)}
    assert {name for name, status in found.items() if status != "passed"} <= NOT_FOR_AN_MLP
    assert len(found) > 50


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)],
    ids=["classifier", "regressor"],
)
class TestParameters:
    def test_all_of_scikit_learns_with_its_defaults(self, ours: type, theirs: type) -> None:
        assert ours().get_params().items() >= theirs().get_params().items()

    def test_those_that_go_by_place_are_the_same(self, ours: type, theirs: type) -> None:
        assert by_place(ours) == by_place(theirs)

    def test_what_scikit_learn_refuses_is_refused(self, ours: type, theirs: type) -> None:
        inputs, targets = iris(30)
        for name, kinds in theirs._parameter_constraints.items():
            for kind in map(make_constraint, kinds):
                try:
                    value = generate_invalid_param_val(kind)
                except NotImplementedError:
                    continue
                if any(make_constraint(other).is_satisfied_by(value) for other in kinds):
                    continue
                with pytest.raises(ValueError, match=rf"^{ours.__name__}: {name} is .*, expected "):
                    ours(**{name: value}).fit(inputs, targets)

    def test_the_ends_of_its_ranges_are_taken(self, ours: type, theirs: type) -> None:
        for name, kinds in theirs._parameter_constraints.items():
            for kind in map(make_constraint, kinds):
                if isinstance(kind, Interval):
                    for end in (kind.left, kind.right):
                        if end is not None and kind.is_satisfied_by(end):
                            ours(**{name: end}).check()


def by_place(estimator: type) -> list[str]:
    kinds = inspect.signature(estimator).parameters.values()
    return [each.name for each in kinds if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]


class TestSameSeedSameNetwork:
    """What is drawn at random is drawn in the same order: in float64 the results agree to the last digits."""

    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize(
        "chosen",
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
    def test_of_classes(self, chosen: dict[str, Any], early_stopping: bool, classes: Arrays) -> None:
        chosen = {"random_state": 3, "max_iter": 40, "hidden_layer_sizes": (9, 5), **chosen}
        ours = MLPClassifier(early_stopping=early_stopping, **chosen).fit(*classes)
        theirs = neural_network.MLPClassifier(early_stopping=early_stopping, **chosen).fit(*classes)
        same(ours, theirs)
        np.testing.assert_allclose(ours.predict_proba(classes[0]), theirs.predict_proba(classes[0]), rtol=1e-6)
        np.testing.assert_array_equal(ours.predict(classes[0]), theirs.predict(classes[0]))

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_of_numbers(self, solver: str, activation: str) -> None:
        inputs, targets = diabetes()
        chosen = {"solver": solver, "activation": activation, "random_state": 1, "max_iter": 30}
        ours = MLPRegressor(**chosen).fit(inputs, targets)
        theirs = neural_network.MLPRegressor(**chosen).fit(inputs, targets)
        same(ours, theirs)
        np.testing.assert_allclose(ours.predict(inputs), theirs.predict(inputs), rtol=1e-5)

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_of_counts(self, solver: str) -> None:
        inputs, _ = diabetes()
        counts = np.random.default_rng(0).poisson(np.exp(inputs[:, 2]))
        chosen = {"loss": "poisson", "solver": solver, "random_state": 1, "max_iter": 20}
        same(MLPRegressor(**chosen).fit(inputs, counts), neural_network.MLPRegressor(**chosen).fit(inputs, counts))

    def test_of_weighted_rows(self) -> None:
        inputs, targets = iris()
        weights = np.random.default_rng(0).integers(0, 4, len(inputs)).astype(float)
        for chosen in ({"solver": "adam", "batch_size": 40}, {"solver": "lbfgs"}, {"early_stopping": True}):
            common = {"random_state": 1, "max_iter": 20, **chosen}
            ours = MLPClassifier(**common).fit(inputs, targets, weights)
            same(ours, neural_network.MLPClassifier(**common).fit(inputs, targets, weights))

    def test_of_several_numbers_whose_loss_is_their_sum(self) -> None:
        inputs, targets = diabetes()
        several = np.column_stack([targets, -targets, inputs[:, 0]])
        chosen = {"random_state": 1, "max_iter": 20, "tol": 0, "n_iter_no_change": np.inf}
        ours = MLPRegressor(**chosen).fit(inputs, several)
        theirs = neural_network.MLPRegressor(**chosen).fit(inputs, several)
        for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_batch_by_batch(self, solver: str) -> None:
        inputs, targets = iris()
        ours, theirs = (made(solver=solver, random_state=0) for made in (MLPClassifier, neural_network.MLPClassifier))
        for part in np.array_split(np.arange(len(inputs)), 9):
            for each in (ours, theirs):
                each.partial_fit(inputs[part], targets[part], classes=[0, 1, 2])
        same(ours, theirs)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_from_where_it_was(self, solver: str) -> None:
        inputs, targets = iris()
        chosen = {"solver": solver, "random_state": 0, "max_iter": 8, "warm_start": True}
        ours, theirs = MLPClassifier(**chosen), neural_network.MLPClassifier(**chosen)
        for each in (ours, theirs):
            each.fit(inputs, targets).fit(inputs, targets)
        same(ours, theirs)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_of_more_rows_than_are_taken_at_a_time(self, weighted: bool) -> None:
        inputs, targets = (np.tile(each, (70, 1))[:9000] for each in (diabetes()[0], diabetes()[1][:, None]))
        weights = np.linspace(0, 2, len(inputs)) if weighted else None
        chosen = {"solver": "lbfgs", "hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0}
        ours = MLPRegressor(**chosen).fit(inputs, targets.ravel(), weights)
        theirs = neural_network.MLPRegressor(**chosen).fit(inputs, targets.ravel(), weights)
        same(ours, theirs)
        thin = MLPRegressor(**chosen).fit(sparse.csr_array(inputs), targets.ravel(), weights)
        np.testing.assert_allclose(thin.predict(sparse.csr_array(inputs)), theirs.predict(inputs), rtol=1e-5, atol=1e-8)

    def test_without_hidden_layers_and_with_one_given_as_a_number(self) -> None:
        inputs, targets = iris()
        for sizes in ((), 7):
            chosen = {"hidden_layer_sizes": sizes, "random_state": 0, "max_iter": 8}
            same(
                MLPClassifier(**chosen).fit(inputs, targets),
                neural_network.MLPClassifier(**chosen).fit(inputs, targets),
            )


def same(ours: Any, theirs: Any) -> None:
    """All that scikit-learn says of a fitted network, ours says."""
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
    def test_in_a_pipeline_searched_and_cross_validated(self) -> None:
        pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=30, random_state=0))
        search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(2,), (20,)]}, cv=3, error_score="raise")
        inputs, targets = iris()
        search.fit(inputs, targets)
        assert search.best_params_ == {"mlpclassifier__hidden_layer_sizes": (20,)}
        scores = cross_val_score(MLPRegressor(solver="lbfgs", alpha=100), *diabetes(), cv=3, error_score="raise")
        assert scores.min() > 0.3

    def test_a_clone_is_not_fitted_and_tells_the_same(self) -> None:
        original = MLPClassifier((5,), dropout=0.1, class_weight={0: 2.0}, max_iter=2).fit(*iris())
        copied = clone(original)
        assert copied.get_params() == original.get_params()
        with pytest.raises(NotFittedError):
            copied.predict(iris()[0])
        with pytest.raises(AttributeError, match=r"^this MLPClassifier is not fitted yet$"):
            copied.coefs_  # noqa: B018

    @pytest.mark.parametrize("through", ["pickle", "joblib"])
    def test_what_is_loaded_answers_the_same_and_goes_on_the_same(self, through: str, tmp_path: Path) -> None:
        inputs, targets = iris()
        kept = MLPClassifier(batch_norm=True, random_state=0).partial_fit(inputs, targets, classes=[0, 1, 2])
        if through == "pickle":
            loaded = pickle.loads(pickle.dumps(kept))  # noqa: S301 - what it wrote itself
        else:
            joblib.dump(kept, tmp_path / "file")
            loaded = joblib.load(tmp_path / "file")
        np.testing.assert_array_equal(loaded.predict_proba(inputs), kept.predict_proba(inputs))
        for each in (kept, loaded):
            each.partial_fit(inputs, targets)
        np.testing.assert_array_equal(loaded.predict_proba(inputs), kept.predict_proba(inputs))

    def test_what_is_pickled_is_no_larger_than_its_numbers_and_those_of_the_solver(self) -> None:
        fitted = MLPClassifier((200,), max_iter=1).fit(*cancer())
        numbers = sum(each.nbytes for each in (*fitted.coefs_, *fitted.intercepts_))
        assert len(pickle.dumps(fitted)) < 3 * numbers + 10_000

    def test_weights_changed_by_hand_are_those_that_answer(self) -> None:
        fitted = MLPClassifier(max_iter=1).fit(*iris())
        for weights in fitted.coefs_:
            weights[...] = 0
        assert np.ptp(fitted.predict_proba(iris()[0]), axis=0) == pytest.approx([0, 0, 0])

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
    def test_sparse_rows_are_as_good_as_dense_ones(self, solver: str, form: Any) -> None:
        inputs, targets = iris()
        inputs[np.abs(inputs) < 0.5] = 0
        chosen = {"solver": solver, "random_state": 0, "max_iter": 5, "early_stopping": solver == "adam"}
        dense, thin = MLPClassifier(**chosen).fit(inputs, targets), MLPClassifier(**chosen).fit(form(inputs), targets)
        np.testing.assert_allclose(thin.predict_proba(form(inputs)), dense.predict_proba(inputs), rtol=1e-9)

    def test_all_random_state_is_the_estimators_own(self) -> None:
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        first, second = (MLPClassifier(dropout=0.3, random_state=1, max_iter=3).fit(*iris()) for _ in range(2))
        assert torch.rand(1) == expected
        np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


class TestBeyondScikitLearn:
    def test_classes_that_weigh_more_are_rows_that_weigh_more(self) -> None:
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

    def test_class_weights_where_they_make_no_sense(self) -> None:
        with pytest.raises(
            ValueError, match=r"^class_weight is for classes of which one holds; weigh rows with sample_"
        ):
            MLPClassifier(class_weight="balanced").fit(*labels())
        with pytest.raises(ValueError, match=r"^class_weight 'balanced' needs all rows, and partial_fit sees a part;"):
            MLPClassifier(class_weight="balanced").partial_fit(*iris(), classes=[0, 1, 2])

    @pytest.mark.parametrize("activation", ["gelu", "silu"])
    def test_more_activations(self, activation: str) -> None:
        assert (
            MLPClassifier(activation=activation, learning_rate_init=0.01, random_state=0).fit(*iris()).score(*iris())
            > 0.95
        )

    def test_dropout_and_batch_norm_train_and_then_answer_each_row_by_itself(self) -> None:
        inputs, targets = iris()
        for chosen in ({"dropout": 0.5}, {"batch_norm": True, "batch_size": 149}):
            fitted = MLPClassifier(learning_rate_init=0.01, random_state=0, **chosen).fit(inputs, targets)
            assert fitted.score(inputs, targets) > 0.93
            alone = np.concatenate([fitted.predict_proba(row[None]) for row in inputs])
            np.testing.assert_allclose(alone, fitted.predict_proba(inputs), rtol=1e-9)

    @pytest.mark.parametrize("name", ["dropout", "batch_norm"])
    def test_what_changes_from_batch_to_batch_is_not_for_lbfgs(self, name: str) -> None:
        with pytest.raises(
            ValueError, match=f"^MLPClassifier: {name} changes from batch to batch and the solver 'lbfgs'"
        ):
            MLPClassifier(solver="lbfgs", **{name: 0.5 if name == "dropout" else True}).fit(*iris())

    @pytest.mark.parametrize("loss", ["absolute_error", "huber"])
    def test_losses_that_outliers_do_not_pull(self, loss: str) -> None:
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

    def test_a_focal_loss_looks_away_from_what_is_clear(self) -> None:
        for data in (iris(), cancer()):
            plain, focal = (MLPClassifier(loss=loss, random_state=0).fit(*data) for loss in ("log_loss", "focal"))
            assert focal.score(*data) > 0.95
            assert focal.predict_proba(data[0]).max(axis=1).mean() < plain.predict_proba(data[0]).max(axis=1).mean()

    def test_smoothed_labels_keep_it_from_being_sure(self, classes: Arrays) -> None:
        smooth, hard = (
            MLPClassifier(label_smoothing=share, alpha=0, solver="lbfgs", max_iter=300, random_state=0).fit(*classes)
            for share in (0.2, 0.0)
        )
        # A hard label draws the probability to 1, a smoothed one to 0.9; how near L-BFGS comes, depends on rounding.
        assert smooth.predict_proba(classes[0]).max() < 0.97 < hard.predict_proba(classes[0]).max()
        assert smooth.score(*classes) > 0.9
        with pytest.raises(ValueError, match=r"^label_smoothing .* the loss 'log_loss'$"):
            MLPClassifier(label_smoothing=0.1, loss="focal").fit(*classes)

    def test_a_loss_of_ones_own(self) -> None:
        def half_squared(outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs - targets).square().sum(dim=1) / 2

        own, built_in = (
            MLPRegressor(loss=loss, random_state=0, max_iter=5).fit(*diabetes())
            for loss in (half_squared, "squared_error")
        )
        np.testing.assert_allclose(own.predict(diabetes()[0]), built_in.predict(diabetes()[0]), rtol=1e-9)

    def test_a_loss_of_ones_own_must_give_one_number_a_row(self) -> None:
        expected = r"^the loss has the shape \(\), expected \(200,\): one for each row, such as .sum\(dim=1\) gives$"
        with pytest.raises(ValueError, match=expected):
            MLPRegressor(loss=torch.nn.functional.mse_loss).fit(*diabetes())

    def test_a_validation_set_of_ones_own(self) -> None:
        (inputs, targets), (held, true) = (part[:100] for part in iris()), (part[100:] for part in iris())
        fitted = MLPClassifier(max_iter=7, random_state=0).fit(inputs, targets, validation_data=(held, true))
        plain = MLPClassifier(max_iter=7, random_state=0).fit(inputs, targets)
        np.testing.assert_array_equal(fitted.coefs_[0], plain.coefs_[0])  # looked at, not learned from
        assert len(fitted.validation_loss_curve_) == len(fitted.loss_curve_) == 7
        assert fitted.validation_scores_[-1] == fitted.score(held, true)
        assert fitted.validation_loss_curve_[-1] == pytest.approx(log_loss(true, fitted.predict_proba(held)))

    def test_early_stopping_goes_by_the_validation_set_of_ones_own_and_back_to_its_best(self) -> None:
        (inputs, targets), (held, true) = (part[:40] for part in diabetes()), (part[40:] for part in diabetes())
        stopping = MLPRegressor(early_stopping=True, learning_rate_init=0.02, random_state=0, n_iter_no_change=5)
        stopping.fit(inputs, targets, validation_data=(held, true))
        assert stopping.n_iter_ < 100
        assert max(stopping.validation_scores_) == stopping.best_validation_score_
        assert stopping.score(held, true) == pytest.approx(stopping.best_validation_score_)
        assert stopping.validation_scores_[-1] < stopping.best_validation_score_

    def test_validation_rows_with_a_class_nobody_knows(self) -> None:
        expected = r"^y has classes that are not known: \[7\]; expected some of \[0 1 2\]$"
        with pytest.raises(ValueError, match=expected):
            MLPClassifier().fit(*iris(), validation_data=(iris()[0], np.full(150, 7)))

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_callbacks_hear_of_each_epoch_and_may_stop(self, solver: str) -> None:
        heard: list[tuple[int, float, float]] = []
        inputs, targets = iris()

        def third(estimator: MLPClassifier, epoch: Epoch) -> bool:
            heard.append((epoch.number, epoch.train_loss, estimator.score(inputs, targets)))
            return epoch.number == 3

        fitted = MLPClassifier(solver=solver, callbacks=[third], random_state=0).fit(inputs, targets)
        assert [number for number, *_ in heard] == [1, 2, 3]
        assert fitted.n_iter_ == 3
        assert heard[-1][1:] == (pytest.approx(fitted.loss_), fitted.score(inputs, targets))

    def test_an_interrupted_fit_keeps_what_was_learned(self) -> None:
        def interrupt(_: MLPClassifier, epoch: Epoch) -> None:
            if epoch.number == 2:
                raise KeyboardInterrupt

        with pytest.warns(UserWarning, match=r"^Training was interrupted; what was learned so far is kept.$"):
            fitted = MLPClassifier(callbacks=[interrupt], random_state=0).fit(*iris())
        np.testing.assert_array_equal(
            fitted.coefs_[0], MLPClassifier(max_iter=2, random_state=0).fit(*iris()).coefs_[0]
        )

    def test_a_device_that_is_not_there(self) -> None:
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
    @pytest.mark.parametrize("chosen", [{}, {"batch_norm": True, "dropout": 0.1, "activation": "gelu"}])
    def test_answers_as_the_classifier_does(self, chosen: dict[str, Any], classes: Arrays, tmp_path: Path) -> None:
        inputs, targets = classes
        fitted = MLPClassifier((8, 4), max_iter=5, random_state=0, **chosen).fit(inputs, targets)
        fitted.export_onnx(tmp_path / "model.onnx")
        probabilities, prediction = onnx_runtime.run((tmp_path / "model.onnx").read_bytes(), inputs)
        np.testing.assert_allclose(probabilities, fitted.predict_proba(inputs), atol=1e-6)
        if targets.ndim == 1:
            np.testing.assert_array_equal(fitted.classes_[prediction], fitted.predict(inputs))
        else:
            np.testing.assert_array_equal(prediction, fitted.predict(inputs))

    @pytest.mark.parametrize("loss", ["squared_error", "poisson"])
    def test_answers_as_the_regressor_does(self, loss: str, tmp_path: Path) -> None:
        inputs, targets = diabetes()
        several = np.column_stack([targets, 2 * targets]) - targets.min() * 2
        fitted = MLPRegressor(loss, (8,), max_iter=5, random_state=0).fit(inputs, several)
        fitted.export_onnx(tmp_path / "model.onnx")
        (values,) = onnx_runtime.run((tmp_path / "model.onnx").read_bytes(), inputs)
        np.testing.assert_allclose(values, fitted.predict(inputs), rtol=1e-5, atol=1e-5)


def near_zero() -> MLPRegressor:
    """Fitted in float64 to about (rows, 2) → (rows,), both near zero."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    targets = np.sin(2 * inputs[:, 0]) + inputs[:, 1]
    return MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=300, random_state=0).fit(inputs, targets)


def far_from_zero(fitted: MLPRegressor) -> Arrays:
    """Let it take seconds since 1970 for its first feature, and give such: some rows and their targets."""
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
    def test_what_is_published_answers_as_the_estimator_does(self, kind: str, solver: str, tmp_path: Path) -> None:
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
        answers = onnx_runtime.run((folder / "model.onnx").read_bytes(), test)
        expected = fitted.predict(test)[:, None] if kind == "diabetes" else fitted.predict_proba(test)
        np.testing.assert_allclose(answers[0], expected, atol=1e-5)
        if kind == "diabetes":
            assert found.scores["fp32"]["r2"] == pytest.approx(fitted.score(test, test_targets), rel=1e-5)
        else:
            assert found.scores["fp32"]["accuracy"] == fitted.score(test, test_targets)
            assert found.classes == tuple(fitted.classes_.tolist())
            assert {type(label) for label in found.classes} == {str if kind == "cancer" else int}

    def test_numbers_far_from_zero_are_published_as_exactly_as_they_were_fitted(self, tmp_path: Path) -> None:
        rows, targets = far_from_zero(fitted := near_zero())
        folder = fitted.publish(tmp_path, "far", train=(rows[:200], targets[:200]), test=(rows[200:], targets[200:]))
        found = artifact.read(folder).manifest
        assert (found.input_dtype, found.output_dtype) == ("float64", "float64")
        assert found.scores["fp32"]["r2"] == pytest.approx(fitted.score(rows[200:], targets[200:]), abs=1e-5)
        assert found.scores["fp32"]["r2"] > 0.98
        (answers,) = onnx_runtime.run((folder / "model.onnx").read_bytes(), rows)
        assert np.abs(answers[:, 0] - fitted.predict(rows)).max() < 0.01  # seconds, of an hour

    def test_what_float32_layers_do_not_answer_alike_is_not_published(self, tmp_path: Path) -> None:
        rows, targets = far_from_zero(fitted := near_zero())
        with torch.no_grad():  # units far from zero, and a layer behind them that takes it off again
            fitted.body_[0].bias += 1e9
            fitted.body_[2].bias -= 1e9 * fitted.body_[2].weight.sum(dim=1)
        with pytest.raises(
            TrainingError,
            match=r"^in float32, as it would be served, the network's predictions differ by up to [\de.+]+ ",
        ):
            fitted.publish(tmp_path, "far", train=(rows, targets), test=(rows, targets))
        assert not (tmp_path / "far").exists()

    def test_validation_scores_are_told_against_numbers_as_they_were_given(self) -> None:
        inputs = small.noise(200, 3)
        targets = 1e9 + inputs[:, 0].astype(np.float64)
        fitted = MLPRegressor(hidden_layer_sizes=(), max_iter=1, learning_rate_init=1e-9, random_state=0)
        with pytest.warns(ConvergenceWarning):
            fitted.fit(inputs, targets, validation_data=(inputs, targets))
        assert fitted.validation_scores_ == [pytest.approx(fitted.score(inputs, targets), rel=1e-3)]

    def test_several_labels_a_row_are_not_for_the_server(self, tmp_path: Path) -> None:
        fitted = MLPClassifier(max_iter=1).fit(*labels())
        with pytest.raises(
            TrainingError, match=r"^a model with several labels a row cannot be served; write it with exp"
        ):
            fitted.publish(tmp_path, "labels", train=labels(), test=labels())
