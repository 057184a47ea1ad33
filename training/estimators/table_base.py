"""What `TableClassifier` and `TableRegressor` share: from a DataFrame to a trained network, and to a published one."""

from __future__ import annotations

import os
import platform
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from training.config import RECIPES, Config
from training.data import categories
from training.data.dataset import Column, Dataset, Label, join_names
from training.data.split import Split
from training.data.tables import frames, rows
from training.engine import device, subnormal, trainer
from training.engine.trainer import Epoch
from training.errors import DataError, Diverged, OptionError
from training.estimators.publishing import as_json, check_rows
from training.estimators.rows import checked_weights
from training.estimators.table_parameters import TableParameters
from training.estimators.table_rows import features_of, to_table
from training.model.network import Network
from training.recipe import train
from training.release import onnx_export, pipeline
from training.release.estimator_run import dataset_of
from training.release.training_run import TrainingRun
from training.run import network_summary
from training.run.keywords import in_python

_SEEDS = 2**31
_MAX_LISTED = 5


class BaseTable(TableParameters, BaseEstimator):  # type: ignore[misc]
    """Training, prediction and publishing; subclasses encode targets and decode outputs.

    Attributes
    ----------
    best_epoch_ : Epoch
        The epoch of ``history_`` whose weights the network has.
    columns_ : tuple of Column
        Name, type and categories of each column.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Only set if `fit` got names, all of them strings.
    history_ : list of Epoch
        ``number``, ``train_loss``, ``validation_loss``, ``validation_score`` and
        ``duration_s`` of each epoch.
    n_features_in_ : int
        Number of columns.
    n_iter_ : int
        Number of epochs.
    network_ : Network
        The trained network, a torch module on the CPU that takes encoded rows.
    """

    n_features_in_: int
    columns_: tuple[Column, ...]
    network_: Network
    history_: list[Epoch]
    best_epoch_: Epoch

    @abstractmethod
    def _check_targets(self, y: Any) -> NDArray[Any]:
        """``y`` as an array (rows,) or (rows, targets). Raises `ValueError`."""

    @abstractmethod
    def _fit_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Learn the classes of checked ``y``, if it has any, and return it encoded as by `_encode`."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Checked ``y`` as class indices int64 (rows,), or numbers float64 (rows, targets). Raises `ValueError`."""

    @abstractmethod
    def _labels(self) -> tuple[Label, ...]:
        """The classes as a `Dataset` has them; none for numbers."""

    @abstractmethod
    def _weigh_classes(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:
        """``weights`` (rows,), None for equal ones, times those of the classes. Raises `ValueError`."""

    @abstractmethod
    def _own_options(self) -> dict[str, Any]:
        """Fields of `Config` that only this estimator has."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Training rows: a DataFrame of pandas, polars or another library, an Arrow table,
            or an array. Columns are numbers, booleans or strings; values may be missing.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: classes, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the losses, those of early stopping and calibration
            included. Rows of weight 0 are left out. None weighs all rows the same.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid, or training diverged.
        """
        self.check()
        with _value_errors():
            dataset = self._dataset(X, y, sample_weight)
            random = check_random_state(self.random_state)
            config = self._config(int(random.randint(_SEEDS)))
            parts = self._split(dataset.targets, random)
            dataset = categories.group_rare(dataset, parts.train)
            with subnormal.flushed():
                trained = train.train_network(dataset, parts, config, device.choose(self.device), self._on_epoch)
        self.columns_, self.network_, self.history_ = dataset.columns, trained.network, trained.history
        self.best_epoch_ = trainer.best_epoch(trained.history, config)
        self.n_iter_ = len(trained.history)
        self._input_dtype = dataset.inputs.dtype
        self._temperature = trained.temperature
        self._fitted_config = config
        return self

    def _dataset(self, X: Any, y: Any, sample_weight: Any) -> Dataset:
        """The training and validation rows. Raises `DataError`, `ValueError`."""
        table, categorical = self._table(X, reset=True)
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        y = self._check_targets(y)
        check_consistent_length(y, table)
        weights = None
        if sample_weight is not None:
            weights = checked_weights(sample_weight, table.num_rows, np.float64, non_negative=True)
            kept = np.flatnonzero(weights)
            table, y, weights = table.take(kept), y[kept], weights[kept]
        targets = self._fit_targets(y)
        found, inputs = features_of(table, (*categorical, *self._categorical(table.column_names)))
        return dataset_of("fit", inputs, targets, self._labels(), found, self._weigh_classes(targets, weights))

    def _table(self, X: Any, *, reset: bool) -> tuple[pa.Table, tuple[str, ...]]:
        """``X`` as a table, and its columns of categories; names and their number are learned if ``reset``."""
        if isinstance(X, Mapping):
            X = frames.frame_of(X, "X").table
        if isinstance(X, list):
            X = np.array(X, dtype=object)  # keeps the type of each column
        if frames.is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
        else:
            least = 2 if reset else 1
            X = validate_data(self, X, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least, reset=reset)
        return to_table(X, self._names())

    def _names(self) -> list[str]:
        return [str(each) for each in getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    def _categorical(self, names: list[str]) -> list[str]:
        """The names of ``categorical_features``. Raises `ValueError`."""
        found = []
        for each in [] if self.categorical_features is None else self.categorical_features:
            known = each in names if isinstance(each, str) else 0 <= int(each) < len(names)
            if not known:
                raise ValueError(f"categorical_features has {each!r}, expected names or positions of columns in X")
            found.append(each if isinstance(each, str) else names[int(each)])
        return found

    def _config(self, seed: int) -> Config:
        names = ("hidden", "dropout", "lr", "weight_decay", "batch_size", "epochs", "patience")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "hidden" in given:
            given["hidden"] = tuple(map(int, given["hidden"]))
        own = {"validation_fraction": self.validation_fraction, "seed": seed, "device": self.device}
        own["arithmetic"] = "float32"  # a measured one could differ between two fits with the same random_state
        return Config(**RECIPES[self.recipe]["table"] | given | own | self._own_options())

    def _split(self, targets: NDArray[Any], random: np.random.RandomState) -> Split:
        """Training and validation rows; each class has its share of both, and a single row is for training."""
        groups = [np.flatnonzero(targets == label) for label in range(len(self._labels()))] or [np.arange(len(targets))]
        least = 1 if self._labels() else 2  # R² needs two
        train_rows, validation_rows = [], []
        for group in map(random.permutation, groups):
            size = min(max(round(len(group) * self.validation_fraction), least), len(group) // 2)
            validation_rows.append(group[:size])
            train_rows.append(group[size:])
        parts = Split(np.sort(np.concatenate(train_rows)), np.sort(np.concatenate(validation_rows)), np.arange(0))
        if not len(parts.validation):
            raise ValueError(
                f"{type(self).__name__} needs validation rows, and has n_samples = {len(targets)} with no class twice; "
                "add rows"
            )
        return parts

    def _on_epoch(self, epoch: Epoch) -> bool:
        if self.verbose:
            print(  # noqa: T201 - as scikit-learn's estimators do
                f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, validation loss {epoch.validation_loss:.4f}, "
                f"validation score {epoch.validation_score:.4f}"
            )
        return any([callback(self, epoch) for callback in self.callbacks or ()])  # noqa: C419 - all of them are called

    def _outputs(self, X: Any) -> list[NDArray[Any]]:
        """What the graph returns: probabilities and class indices, or numbers (rows, targets)."""
        check_is_fitted(self)
        with _value_errors():
            inputs = self._inputs(X)
        return onnx_export.outputs_of(train.outputs_of(self.network_, inputs), self._activation())

    def _inputs(self, X: Any) -> NDArray[Any]:
        """Encoded rows of ``X``. Raises `DataError`, `ValueError`."""
        table, _ = self._table(X, reset=False)
        return rows.encode("X", table, self.columns_, None).astype(self._input_dtype)

    def _activation(self) -> str:
        return "softmax" if self._labels() else "identity"

    def publish(
        self,
        models_dir: str | os.PathLike[str],
        name: str,
        *,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        breaking: bool = False,
        force: bool = False,
    ) -> Path:
        """Publish the next version of a model for `mlp-serve`, with its preprocessing.

        Clients send rows as they are in the DataFrame, by name. The version is compared
        with the newest one of that name, as by the command line.

        Parameters
        ----------
        models_dir : str or path-like
            The folder of all models.
        name : str
            The name of the model.
        train : tuple of (X, y)
            The rows that `fit` was given. They describe the columns in the model card.
        test : tuple of (X, y)
            Rows that `fit` has not seen, for the scores and for the server's self-check.
        breaking : bool, default=False
            Publish even if clients of the newest version have to change.
        force : bool, default=False
            Publish even if it is worse than the newest version.

        Returns
        -------
        folder : pathlib.Path
            The folder of the new version, ``models_dir/name/<version>``.

        Raises
        ------
        TrainingError
            If the name or the folder cannot be used, or rows that the server would reject
            are among those given.
        NotPromoted
            A `TrainingError`: if the version breaks clients, or is worse.
        """
        check_is_fitted(self)
        check_rows("train", train)
        check_rows("test", test)
        run = self._training_run(name, train, test)
        return pipeline.release(run, Path(models_dir), breaking=breaking, force=force).folder

    def _training_run(self, name: str, train_rows: tuple[Any, Any], test_rows: tuple[Any, Any]) -> TrainingRun:
        parts = [(self._inputs(X), self._encode(self._check_targets(y))) for X, y in (train_rows, test_rows)]
        inputs, targets = (np.concatenate(pair) for pair in zip(*parts, strict=True))
        self._check_filled(inputs)
        count = len(parts[0][0])
        index = np.arange(len(inputs))
        config = self._fitted_config
        return TrainingRun(
            name=name,
            command=f"publish() in Python {platform.python_version()}",
            dataset=dataset_of(name, inputs, targets, self._labels(), self.columns_),
            split=Split(index[:count], index[:0], index[count:]),
            network=self.network_,
            hidden=config.hidden,
            activation=config.activation,
            output_activation=self._activation(),
            config=as_json(self.get_params(deep=False)),
            seed=config.seed,
            device=self.device,
            history=self.history_,
            best_epoch=self.best_epoch_,
            fit_s=sum(epoch.duration_s for epoch in self.history_),
            temperature=self._temperature,
        )

    def _check_filled(self, inputs: NDArray[Any]) -> None:
        """Raise `DataError` if ``inputs`` lack a value where the server, as `fit`, knows of no missing ones."""
        counts = np.isnan(inputs).sum(axis=0)
        odd = [
            f"{column.name!r} ({count:,} row{'s' * (count != 1)})"
            for column, count in zip(self.columns_, counts.tolist(), strict=True)
            if count and not column.missing
        ]
        if odd:
            raise DataError(
                f"the given rows have missing values or unknown categories in {join_names(odd, _MAX_LISTED)}, and the "
                "rows of fit had none there, so that the server would reject them; leave out these rows, or fit on "
                "such ones"
            )

    def summary(self) -> str:
        """Describe the network and its training.

        Returns
        -------
        text : str
            A table of the layers with their parameters and sizes, where the time went,
            and the scores.
        """
        check_is_fitted(self)
        score_name = "accuracy" if self._labels() else "R²"
        title = f"{type(self).__name__}: {self.n_features_in_} columns"
        return network_summary.describe(title, self.network_.body, self.history_, self.best_epoch_, {}, score_name)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


@contextmanager
def _value_errors() -> Iterator[None]:
    """Raise errors of the data, the options and the training as `ValueError`, as scikit-learn's estimators do."""
    try:
        yield
    except (DataError, OptionError, Diverged) as error:
        raise ValueError(in_python(str(error), ())) from error
