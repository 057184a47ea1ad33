"""Whether a new version may replace the newest one: it breaks no client, and is not worse on the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.compared import Compared
from service.manifest import REGRESSION, Manifest
from training.data.dataset import GIVEN, Dataset
from training.data.split import Split
from training.errors import NotPromoted, TrainingError
from training.release import evaluate, interface, previous, seen_rows, units
from training.release.interface import Changes, Interface
from training.release.previous import Previous

# The test rows are a sample, so a version that is as good may look worse by chance: in 2.3 % of the cases by more than
# two standard errors of the paired difference. With many rows that is less than two seeds differ, so each score has a
# floor: half a point of accuracy, or a share of the older version's loss.
STANDARD_ERRORS: Final = 2.0
ACCURACY_FLOOR: Final = 0.005
LOG_LOSS_FLOOR: Final = 0.05
ERROR_FLOOR: Final = 0.02
# With fewer rows that the older version has not seen, all test rows are compared.
MIN_UNSEEN_ROWS: Final = 30
_MIN_ROWS: Final = 2  # for R²


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a comparison with the newest version found.

    ``compared`` is None if there is none to compare with. ``notes`` are sentences for the log and the card.
    """

    compared: Compared | None = None
    notes: tuple[str, ...] = ()


def check_interface(dataset: Dataset, split: Split, models_dir: Path, name: str, *, breaking: bool) -> tuple[str, ...]:
    """Compare what a network trained on ``dataset`` would take and answer with the newest version of model ``name``.

    Returns notes on changes. Raises `NotPromoted` with all changes that break a client, unless they are ``breaking`` on
    purpose, and `TrainingError` if the folder cannot be read.
    """
    older, unread = previous.newest(models_dir, name)
    if older is None:
        return tuple(unread)
    found = _changes(older, Interface.of_dataset(dataset, split.train), dataset, split)
    return (*unread, *_notes(older.manifest, found, breaking=breaking))


def judge(
    dataset: Dataset, split: Split, outputs: Sequence[NDArray[Any]], models_dir: Path, name: str, *, breaking: bool
) -> Judgement:
    """Compare a new version of model ``name``, whose ``outputs`` for the test rows are given, with the newest one.

    ``outputs`` are as those of the graph. Raises as `check_interface`. A worse score is no error here: see `require`.
    """
    older, unread = previous.newest(models_dir, name)
    if older is None:
        return Judgement(notes=tuple(unread))
    dtype = "float32" if dataset.classifies else str(outputs[0].dtype)
    new = replace(Interface.of_dataset(dataset, split.train), output_dtype=dtype)
    found = _changes(older, new, dataset, split)
    notes = (*unread, *_notes(older.manifest, found, breaking=breaking))
    version = older.manifest.version
    if found.breaking:
        return Judgement(notes=(*notes, f"not compared with version {version}: its requests or answers are others"))
    try:
        return Judgement(_compared(older, dataset, split, outputs), notes)
    except TrainingError as error:
        return Judgement(notes=(*notes, f"not compared with version {version}: {error}"))


def require(judgement: Judgement, name: str) -> None:
    """Raise `NotPromoted` if a score is worse than the newest version's by more than is allowed."""
    compared = judgement.compared
    if compared is not None and compared.worse:
        fault = f"{name} is worse than version {compared.version}"
        raise NotPromoted(fault, compared.worse, "publish it all the same with --force (force=True in Python)")


def _notes(manifest: Manifest, found: Changes, *, breaking: bool) -> list[str]:
    version = f"version {manifest.version}"
    if found.breaking and not breaking:
        fault = f"{manifest.name} would break clients of {version}"
        remedy = "publish it under another name, or with --breaking (breaking=True in Python) once no client needs it"
        raise NotPromoted(fault, found.breaking, remedy)
    broken = [f"breaks clients of {version}: {each}" for each in found.breaking]
    return broken + [f"changed since {version}: {each}" for each in found.compatible]


def _changes(older: Previous, new: Interface, dataset: Dataset, split: Split) -> Changes:
    old = Interface.of(older.manifest)
    found = interface.changes(old, new)
    if [each.name for each in old.features] == [each.name for each in new.features]:
        found.breaking += units.changed(old, new, older.golden, dataset.inputs[split.test])
    if old.task == new.task == REGRESSION and old.targets == new.targets:
        found.breaking += units.changed_targets(old.targets, older.answers, dataset.targets[split.test])
    return found


def _compared(older: Previous, dataset: Dataset, split: Split, outputs: Sequence[NDArray[Any]]) -> Compared:
    inputs, accepted = previous.encoded(dataset.columns, dataset.inputs[split.test], older.manifest.features)
    rows, seen = _rows(older, dataset, split, np.flatnonzero(accepted))
    if len(rows) < _MIN_ROWS:
        raise TrainingError(f"it takes {len(rows)} of the {len(inputs)} test rows")
    targets = dataset.targets[split.test][rows]
    old, new = older.outputs(inputs[rows])[0], outputs[0][rows]
    if old.shape != new.shape:
        raise TrainingError(f"its answers have the shape {old.shape}, expected {new.shape}")
    scores_of: Callable[..., dict[str, float]] = evaluate.classification if dataset.classifies else evaluate.regression
    weights = dataset.weights_of(split.test[rows])
    if weights is not None and not weights.any():
        raise TrainingError(f"the {len(rows)} test rows to compare on all have the weight 0")
    losses = _class_losses(old, new, targets) if dataset.classifies else _number_losses(dataset, old, new, targets)
    measured = [replace(each, weights=weights) for each in losses]
    worse = [each for each in measured if each.is_worse]
    if seen != 0:
        worse = [each for each in worse if each.is_worse_than_published(older.manifest.scores.get("fp32", {}))]
    version = older.manifest.version
    return Compared(
        version=version,
        rows=len(rows),
        seen_rows=seen,
        old=scores_of(old, targets, weights),
        new=scores_of(new, targets, weights),
        worse=tuple(each.sentence(version) for each in worse),
    )


def _rows(
    older: Previous, dataset: Dataset, split: Split, accepted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int | None]:
    """The test rows to compare on, of those ``accepted``, and how many of them the older version was trained on."""
    if _same_test_rows(older, dataset, split):
        return accepted, 0
    if older.seen is None:
        return accepted, None
    seen = np.isin(seen_rows.hashes(dataset, split.test[accepted]), older.seen)
    if (~seen).sum() >= MIN_UNSEEN_ROWS:
        return accepted[~seen], 0
    return accepted, int(seen.sum())


def _same_test_rows(older: Previous, dataset: Dataset, split: Split) -> bool:
    """Whether the older version had the same test rows, as they are given and not drawn."""
    if "test" not in dataset.division.given or older.manifest.data.get("sha256") != dataset.source.get("sha256"):
        return False
    before = older.manifest.data.get("split", {"test": GIVEN})  # older manifests do not say: only GIVEN was possible
    return isinstance(before, Mapping) and before.get("test") == split.how.get("test")


@dataclass(frozen=True, slots=True)
class _Measure:
    """A loss of both versions on the same rows, (rows,): lower is better.

    ``score`` is its name among the scores, None for one of several targets. ``floor`` is how much worse it may be in
    any case, for a mean loss of the older version. ``show`` formats a mean. ``weights`` (rows,) weight the rows.
    """

    name: str
    score: str | None
    old: NDArray[np.float64]
    new: NDArray[np.float64]
    floor: Callable[[float], float]
    show: Callable[[float], str]
    weights: evaluate.Weights = None

    def _mean(self, losses: NDArray[np.float64]) -> float:
        return float(np.average(losses, weights=self.weights))

    def _standard_error(self, losses: NDArray[np.float64]) -> float:
        """That of the weighted mean of ``losses``: https://doi.org/10.1016/1352-2310(94)00210-C (Gatz, Smith)."""
        weights = np.ones(len(losses)) if self.weights is None else self.weights
        spread = float((weights**2 * (losses - self._mean(losses)) ** 2).sum())
        return math.sqrt(spread * len(losses) / (len(losses) - 1)) / float(weights.sum())

    @property
    def worse_by(self) -> float:
        return self._mean(self.new - self.old)

    @property
    def _floor(self) -> float:
        return self.floor(self._mean(self.old))

    @property
    def allowed(self) -> float:
        return max(self._floor, STANDARD_ERRORS * self._standard_error(self.new - self.old))

    @property
    def is_worse(self) -> bool:
        return self.worse_by > self.allowed

    def is_worse_than_published(self, published: Mapping[str, float]) -> bool:
        """Whether it is also worse than the older version was on its own test rows, as ``published``; True if unknown.

        Rows that the older version was trained on favour it; its own test rows do not.
        """
        if self.score is None or self.score not in published:
            return True
        before = 1 - published[self.score] if self.score == "accuracy" else published[self.score]
        standard_error = self._standard_error(self.new) * math.sqrt(2)
        return self._mean(self.new) - before > max(self._floor, STANDARD_ERRORS * standard_error)

    def sentence(self, version: int) -> str:
        old, new = self.show(self._mean(self.old)), self.show(self._mean(self.new))
        percent = self.score == "accuracy"
        by, allowed = (
            (f"{value * 100:.2f} points" if percent else f"{value:.4g}") for value in (self.worse_by, self.allowed)
        )
        return (
            f"its {self.name} is {new}, and version {version} has {old} on the same {len(self.new):,} test rows: worse "
            f"by {by}, and at most {allowed} is allowed"
        )


def _class_losses(old: NDArray[Any], new: NDArray[Any], targets: NDArray[np.int64]) -> list[_Measure]:
    """Accuracy and log-loss, of probabilities (rows, classes)."""
    wrong = [(each.argmax(axis=1) != targets).astype(np.float64) for each in (old, new)]
    losses = [evaluate.log_losses(each, targets) for each in (old, new)]
    return [
        _Measure(
            "accuracy", "accuracy", wrong[0], wrong[1], lambda _: ACCURACY_FLOOR, lambda value: f"{1 - value:.2%}"
        ),
        _Measure("log-loss", "log_loss", losses[0], losses[1], lambda old: LOG_LOSS_FLOOR * old, "{:.4f}".format),
    ]


def _number_losses(
    dataset: Dataset, old: NDArray[Any], new: NDArray[Any], targets: NDArray[np.float64]
) -> list[_Measure]:
    """The absolute errors of each target: squared ones would hang on a few rows."""
    errors = [np.abs(each.astype(np.float64) - targets) for each in (old, new)]
    single = len(dataset.target_names) == 1
    return [
        _Measure(
            "mean absolute error" + ("" if single else f" of {name!r}"),
            "mae" if single else None,
            before,
            after,
            lambda old: ERROR_FLOOR * old,
            "{:.4g}".format,
        )
        for name, before, after in zip(dataset.target_names, errors[0].T, errors[1].T, strict=True)
    ]
