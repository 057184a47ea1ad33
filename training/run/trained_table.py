"""What `train_table` returns: a trained network that predicts the rows of a DataFrame, and publishes itself."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Label
from training.data.tables import frames, rows
from training.engine.trainer import Epoch
from training.errors import OptionError
from training.recipe.train import outputs_of
from training.release import onnx_export, pipeline
from training.release.training_run import TrainingRun
from training.run import network_summary

_TABLE: Final = "the table"


@dataclass(frozen=True)
class TrainedTable:
    """A network that `train_table` trained.

    Attributes
    ----------
    scores : dict of str to float
        Scores on the test rows, such as ``accuracy`` and ``log_loss``, or ``rmse``.
    history : tuple of Epoch
        ``number``, ``train_loss``, ``validation_loss``, ``validation_score`` and
        ``duration_s`` of each epoch.
    classes : tuple of str, int or bool
        The classes, in the order of the probabilities; empty for numbers.
    features : tuple of str
        The columns that `predict` needs.
    targets : tuple of str
        The columns that it predicts.
    notes : tuple of str
        How the table was read.
    folder : pathlib.Path or None
        The folder of the published version; None if it was not published.
    run : TrainingRun
        The network, the data and how it was trained, as the model card is made from.
    """

    scores: dict[str, float]
    history: tuple[Epoch, ...]
    classes: tuple[Label, ...]
    features: tuple[str, ...]
    targets: tuple[str, ...]
    notes: tuple[str, ...]
    folder: Path | None
    run: TrainingRun

    def predict(self, df: Any) -> NDArray[Any]:
        """Predict the class or the numbers of each row.

        Parameters
        ----------
        df : DataFrame
            The rows, with the columns ``features``. Other columns are ignored. A category
            that is unknown counts as rare, or as missing if none was rare.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
            Classes, or numbers.

        Raises
        ------
        DataError
            If columns are missing or have another type than in training.
        """
        outputs = self._outputs(df)
        if self.classes:
            predicted: NDArray[Any] = np.array(self.classes)[outputs[1]]
            return predicted
        values: NDArray[Any] = outputs[0]
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, df: Any) -> NDArray[np.float32]:
        """Predict the probability of each class.

        Parameters
        ----------
        df : DataFrame
            The rows, as for `predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            In the order of ``classes``.

        Raises
        ------
        DataError
            If columns are missing or have another type than in training.
        OptionError
            If the network predicts numbers.
        """
        if not self.classes:
            raise OptionError("predict_proba is for classes, and this network predicts numbers; use predict")
        probabilities: NDArray[np.float32] = self._outputs(df)[0]
        return probabilities

    def publish(
        self, models: str | os.PathLike[str], *, name: str | None = None, breaking: bool = False, force: bool = False
    ) -> Path:
        """Publish the network as the next version of a model.

        Parameters
        ----------
        models : str or path-like
            The folder of all models.
        name : str, default=None
            The name of the model; None means the one given to `train_table`.
        breaking : bool, default=False
            Publish even if clients of the newest version have to change.
        force : bool, default=False
            Publish even if it is worse than the newest version.

        Returns
        -------
        folder : pathlib.Path
            The folder of the new version, ``models/name/<version>``.

        Raises
        ------
        NotPromoted
            If the version breaks clients, or is worse.
        TrainingError
            If the name or the folder cannot be used.
        """
        run = replace(self.run, name=name or self.run.name)
        return pipeline.release(run, Path(models), breaking=breaking, force=force).folder

    def summary(self) -> str:
        """Describe the network and its training.

        Returns
        -------
        text : str
            A table of the layers with their parameters and sizes, where the time went,
            and the scores.
        """
        run = self.run
        title = f"{run.name}: {len(self.features)} columns → {', '.join(self.targets)}"
        score_name = "accuracy" if self.classes else "R²"
        return network_summary.describe(title, run.network.body, run.history, run.best_epoch, self.scores, score_name)

    def _outputs(self, df: Any) -> list[NDArray[Any]]:
        dataset = self.run.dataset
        table = frames.frame_of(df, _TABLE).rows
        inputs = rows.encode(_TABLE, table, dataset.columns, dataset.cells)
        dtype = dataset.inputs.dtype
        return onnx_export.outputs_of(outputs_of(self.run.network, inputs.astype(dtype)), self.run.output_activation)
