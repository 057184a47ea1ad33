"""The progress of a fit: what scikit-learn's attributes record of each epoch, early stopping, callbacks."""

from __future__ import annotations

import math

from torch import nn

from training.engine.early_stopping import EarlyStopping
from training.engine.trainer import Epoch
from training.estimators.parameters import STOCHASTIC, Parameters
from training.estimators.solvers import Solver


class Recording(Parameters):
    """Records each epoch in the attributes of an estimator."""

    body_: nn.Sequential
    history_: list[Epoch]
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    _optimizer: Solver | None
    _no_improvement_count: int

    def _reset_progress(self) -> None:
        self.history_ = []
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self._optimizer = None
        if self.solver in STOCHASTIC:
            self.loss_curve_ = []
            self.best_loss_ = None if self.early_stopping else math.inf
            self.validation_scores_ = None
            self.validation_loss_curve_ = None
            self.best_validation_score_ = -math.inf if self.early_stopping else None

    def _restore_early_stopping(self) -> EarlyStopping:
        """Early stopping as the last fit left it, if this one continues it."""
        best = self.best_validation_score_ if self.early_stopping else self.best_loss_
        if best is None:
            best = -math.inf
        elif not self.early_stopping:
            best = -best
        return EarlyStopping(
            self.body_,
            self.n_iter_no_change,
            tolerance=self.tol,
            best=best,
            no_improvement_count=self._no_improvement_count,
            keep_best=self.early_stopping,
        )

    def _record(self, epoch: Epoch) -> None:
        self.history_.append(epoch)
        self.n_iter_ = epoch.number
        self.loss_ = epoch.train_loss
        self._print(f"Iteration {epoch.number}, loss = {epoch.train_loss:.8f}")

    def _record_progress(self, epoch: Epoch, rows: int, early_stopping: EarlyStopping, *, validated: bool) -> None:
        """Update the attributes that only ``'adam'`` and ``'sgd'`` have."""
        self.t_ += rows
        self.loss_curve_.append(epoch.train_loss)
        if validated:
            if self.validation_scores_ is None or self.validation_loss_curve_ is None:
                self.validation_scores_, self.validation_loss_curve_ = [], []
            self.validation_scores_.append(epoch.validation_score)
            self.validation_loss_curve_.append(epoch.validation_loss)
            self._print(f"Validation score: {epoch.validation_score:f}, loss: {epoch.validation_loss:f}")
        early_stopping.update(epoch.validation_score if self.early_stopping else -epoch.train_loss)
        if self.early_stopping:
            self.best_validation_score_ = early_stopping.best
        else:
            self.best_loss_ = -early_stopping.best
        self._no_improvement_count = early_stopping.no_improvement_count

    def _lower_rate(self, solver: Solver, early_stopping: EarlyStopping) -> bool:
        """Lower the learning rate instead of stopping, if the solver can."""
        lowered = solver.lower_rate()
        measure = "Validation score" if self.early_stopping else "Training loss"
        consequence = f"the learning rate is now {solver.learning_rate:g}" if lowered else "stopping"
        self._print(
            f"{measure} did not improve by {self.tol:g} (tol) for {self.n_iter_no_change} epochs: {consequence}."
        )
        if lowered:
            early_stopping.no_improvement_count = 0
        return lowered

    def _call_callbacks(self, epoch: Epoch) -> bool:
        """Call all callbacks; return whether one of them asks to stop."""
        return any([callback(self, epoch) for callback in self.callbacks or ()])  # noqa: C419 - all of them are called

    def _print(self, text: str) -> None:
        if self.verbose:
            print(text)  # noqa: T201 - as scikit-learn's estimators do

    def _best_epoch(self) -> Epoch:
        """The epoch whose weights the network has."""
        if self.early_stopping and self.solver in STOCHASTIC:
            return max(self.history_, key=lambda epoch: epoch.validation_score)
        return self.history_[-1]
