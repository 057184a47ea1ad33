"""How the estimators fit a network: pass after pass over the rows, or by L-BFGS over all of them at once."""

from __future__ import annotations

import math
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Final

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from training.engine import device, gradient, lbfgs, loop, subnormal
from training.engine.early_stopping import EarlyStopping
from training.engine.flat_parameters import flattened
from training.engine.loop import Rows
from training.engine.losses import Loss
from training.engine.trainer import Epoch
from training.estimators import solvers
from training.estimators.parameters import Parameters
from training.estimators.solvers import Solver

_CHUNK_ROWS: Final = 8192


class Solving(Parameters):
    """Trains ``body_`` and keeps the attributes that tell how it went, scikit-learn's and ``history_``."""

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
    _done: bool

    @abstractmethod
    def _losses(self) -> tuple[Loss, Loss]:
        """What is trained on, and what validation rows are judged by."""

    @abstractmethod
    def _score_outputs(self, outputs: Tensor, rows: Rows) -> float:
        """Accuracy or R² of finite ``outputs`` (rows, outputs)."""

    def _minimise(self, rows: Rows) -> None:
        began_s = time.perf_counter()

        def on_iteration(number: int, loss: float) -> bool:
            nonlocal began_s
            now_s = time.perf_counter()
            self.history_.append(Epoch(number, loss, math.nan, math.nan, now_s - began_s))
            began_s = now_s
            self._say(f"Iteration {number}, loss = {loss:.8f}")
            return self._called(self.history_[-1])

        with flattened(self.body_) as flat, device.threads_for(self.body_, len(rows.inputs)):
            result = lbfgs.minimise(
                flat,
                rows,
                gradient.of(self.body_, flat, self._losses()[0]),
                l2=self.alpha,
                gradient_tolerance=self.tol,
                max_iterations=self.max_iter,
                max_evaluations=self.max_fun,
                on_iteration=on_iteration,
            )
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = float(result.fun)
        if result.status:
            warnings.warn(
                f"lbfgs did not converge after {self.n_iter_} iterations (max_iter={self.max_iter}, max_fun="
                f"{self.max_fun}): {result.message}. Allow it more, or scale the features.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _descend(self, rows: Rows, held: Rows | None, random: np.random.RandomState, *, once: bool) -> None:
        """Train for one epoch after another until early stopping, or ``once``; evaluate ``held`` rows after each."""
        early_stopping = self._early_stopping()
        size = self._batch_rows(len(rows.inputs))
        loss, validation_loss = self._losses()
        self._done = False
        with (
            flattened(self.body_) as flat,
            self._torch_seeded(random),
            device.threads_for(self.body_, size),
            subnormal.flushed(),
        ):
            if self._optimizer is None or not once:
                self._optimizer = solvers.of(flat, self)
            solver = self._optimizer
            batch_gradient = gradient.of(self.body_, flat, loss, l2=self.alpha, half=self.mixed_precision)
            step = partial(solver.step, flat)
            try:
                passes = self._passes(len(rows.inputs), size, random, 1 if once else self.max_iter)
                for number, batches in enumerate(passes, 1):
                    started_s = time.perf_counter()
                    train_loss = loop.train_epoch(rows, batches, batch_gradient, step)
                    validated = (math.nan, math.nan) if held is None else self._evaluate(held, validation_loss)
                    epoch = Epoch(number, train_loss, *validated, time.perf_counter() - started_s)
                    self._record(epoch, len(rows.inputs), early_stopping, validated=held is not None)
                    solver.epoch_ended(self.t_)
                    self._done = self._called(epoch) or (
                        early_stopping.should_stop and self._stops(solver, early_stopping)
                    )
                    if self._done:
                        break
            except KeyboardInterrupt:
                self._done = True
                warnings.warn("Training was interrupted; what was learned so far is kept.", stacklevel=4)
        self._no_improvement_count = early_stopping.no_improvement_count
        early_stopping.restore_best()
        if not (once or self._done):
            warnings.warn(
                f"{self.solver} made all {self.max_iter} passes (max_iter) and did not converge; allow it more.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _early_stopping(self) -> EarlyStopping:
        """As it was left by the last fit, if this one goes on from there."""
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

    def _passes(self, rows: int, size: int, random: np.random.RandomState, count: int) -> Iterator[Iterable[Tensor]]:
        """The row numbers of the batches of each pass, in an order that is drawn anew for each."""
        place = next(self.body_.parameters()).device
        order = np.arange(rows)
        for _ in range(count):
            if self.shuffle:
                places = np.arange(rows)
                random.shuffle(places)
                order = order[places]
            index = torch.from_numpy(order).to(place)
            # A batch norm can do nothing with a single row that is left over.
            yield index.tensor_split(math.ceil(rows / size)) if self.batch_norm else torch.split(index, size)

    def _batch_rows(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if int(self.batch_size) > rows:
            warnings.warn(f"batch_size is {self.batch_size}, of {rows} rows; all are taken at once", stacklevel=5)
        return min(int(self.batch_size), rows)

    def _torch_seeded(self, random: np.random.RandomState) -> AbstractContextManager[None]:
        """Torch's generator draws for dropout alone; outside it is left as it was."""
        if not self.dropout:
            return nullcontext()
        return _seeded(int(random.randint(2**31)))

    @torch.no_grad()
    def _evaluate(self, rows: Rows, loss: Loss) -> tuple[float, float]:
        """Loss and score of validation rows, NaN where outputs are not finite."""
        outputs = self._outputs_of(rows.inputs)
        value = float(gradient.mean(loss.of(outputs, rows.targets), rows.weights))
        return value, self._score_outputs(outputs, rows) if bool(outputs.isfinite().all()) else math.nan

    def _record(self, epoch: Epoch, rows: int, early_stopping: EarlyStopping, *, validated: bool) -> None:
        self.history_.append(epoch)
        self.n_iter_ = epoch.number
        self.t_ += rows
        self.loss_ = epoch.train_loss
        self.loss_curve_.append(self.loss_)
        self._say(f"Iteration {epoch.number}, loss = {epoch.train_loss:.8f}")
        if validated:
            if self.validation_scores_ is None or self.validation_loss_curve_ is None:
                self.validation_scores_, self.validation_loss_curve_ = [], []
            self.validation_scores_.append(epoch.validation_score)
            self.validation_loss_curve_.append(epoch.validation_loss)
            self._say(f"Validation score: {epoch.validation_score:f}, loss: {epoch.validation_loss:f}")
        early_stopping.update(epoch.validation_score if self.early_stopping else -epoch.train_loss)
        if self.early_stopping:
            self.best_validation_score_ = early_stopping.best
        else:
            self.best_loss_ = -early_stopping.best
        self._no_improvement_count = early_stopping.no_improvement_count

    def _stops(self, solver: Solver, early_stopping: EarlyStopping) -> bool:
        measure = "Validation score" if self.early_stopping else "Training loss"
        goes_on = solver.stalled()
        next_ = f"the learning rate is now {solver.learning_rate:g}" if goes_on else "stopping"
        self._say(f"{measure} did not improve by {self.tol:g} (tol) for {self.n_iter_no_change} epochs: {next_}.")
        if goes_on:
            early_stopping.no_improvement_count = 0
        return not goes_on

    def _called(self, epoch: Epoch) -> bool:
        """Whether a callback asks to stop; each of them is told of the epoch."""
        return any([callback(self, epoch) for callback in self.callbacks or ()])  # noqa: C419 - all of them are called

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)  # noqa: T201 - where scikit-learn's go

    @torch.no_grad()
    def _outputs_of(self, inputs: loop.Inputs) -> Tensor:
        """The network's outputs (rows, outputs), before the output activation."""
        if self.body_.training:
            self.body_.eval()
        if len(inputs) <= _CHUNK_ROWS and isinstance(inputs, Tensor):
            outputs: Tensor = self.body_(inputs)
            return outputs
        index = torch.arange(len(inputs), device=inputs.device)
        return torch.cat([self.body_(inputs.index_select(0, part)) for part in torch.split(index, _CHUNK_ROWS)])


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's generators begin at ``seed`` inside; outside they go on as if nothing had been drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
