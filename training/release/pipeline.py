"""From a training run to a published version: evaluate, export, parity, quantize, compare, publish."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from training.errors import NotPromoted
from training.recipe.train import outputs_of
from training.release import (
    destination,
    evaluate,
    importance,
    influence,
    onnx_export,
    onnx_runtime,
    parity,
    promotion,
    publish,
    quantize,
    thresholds,
)
from training.release.training_run import Candidate, TrainingRun


@dataclass(frozen=True, slots=True)
class Release:
    """A published version: its ``folder``, and what was published in it."""

    folder: Path
    candidate: Candidate


def release(
    run: TrainingRun,
    models_dir: Path,
    *,
    quantizing: Callable[[], AbstractContextManager[None]] = nullcontext,
    publishing: Callable[[], AbstractContextManager[None]] = nullcontext,
    on_commit: Callable[[], None] = lambda: None,
    breaking: bool = False,
    force: bool = False,
) -> Release:
    """Publish ``run`` as ``models_dir/<name>/<next version>``, complete or not at all.

    It may break clients of the newest version only if it is ``breaking`` on purpose, and be worse only by ``force``.
    Otherwise it is kept in a hidden folder, and `NotPromoted` is raised.

    ``quantizing`` and ``publishing`` are entered around these stages; ``on_commit`` is called just before the version
    appears, and prevents it by raising. Raises `TrainingError` if the name or the folder cannot be used, or the graph
    does not compute what the network does.
    """
    destination.check(models_dir, run.name)
    destination.check_names(run.dataset)
    candidate = _candidate(run, quantizing)
    try:
        candidate = replace(candidate, judgement=_judge(candidate, models_dir, breaking=breaking))
        if not force:
            promotion.require(candidate.judgement, run.name)
    except NotPromoted as error:
        with publishing():
            kept = publish.keep(candidate, models_dir)
        remedy = f"it is kept; to publish it all the same: mlp-models publish {shlex.quote(str(kept))}"
        raise NotPromoted(error.fault, error.reasons, remedy) from error
    with publishing():
        return Release(publish.publish(candidate, models_dir, on_commit), candidate)


def _judge(candidate: Candidate, models_dir: Path, *, breaking: bool) -> promotion.Judgement:
    run = candidate.run
    return promotion.judge(run.dataset, run.split, candidate.outputs, models_dir, run.name, breaking=breaking)


def _candidate(run: TrainingRun, quantizing: Callable[[], AbstractContextManager[None]]) -> Candidate:
    dataset, classifies = run.dataset, run.dataset.classifies
    order = () if dataset.images else _by_influence(run)
    outputs = test_outputs(run)
    scores = {"fp32": test_scores(run, outputs[0])}
    graph = onnx_export.export(
        run.network, len(dataset.columns), classifies=classifies, activation=run.output_activation
    )
    found = parity.check(graph, run.test_inputs, outputs)
    int8, no_int8 = None, quantize.refusal(graph, dataset, run.split, run.seed)
    if no_int8 is None:
        with quantizing():
            int8 = quantize.compare(graph, dataset, run.split, run.seed)
        no_int8 = int8.fault
        if no_int8 is None:
            scores["int8"] = test_scores(run, onnx_runtime.run(int8.graph, run.test_inputs)[0])
    return Candidate(
        run,
        graph,
        outputs,
        found,
        int8,
        scores,
        no_int8=no_int8,
        baseline=_baseline(run),
        thresholds=_thresholds(run, outputs[0]) if len(dataset.labels) == 2 else None,
        influence=order,
        importance=importance.of(run, order) if len(dataset.shape) == 1 else None,
    )


def test_outputs(run: TrainingRun) -> list[NDArray[Any]]:
    """The graph's outputs for the test rows, computed by torch."""
    return onnx_export.outputs_of(outputs_of(run.network, run.test_inputs), run.output_activation)


def test_scores(run: TrainingRun, outputs: NDArray[Any]) -> dict[str, float]:
    """The test scores of probabilities (rows, classes) or values (rows, targets)."""
    if not run.dataset.classifies:
        return evaluate.regression(outputs, run.test_targets, run.test_weights)
    scores = evaluate.classification(outputs, run.test_targets, run.test_weights)
    return scores | evaluate.ranking(outputs, run.test_targets, run.test_weights)


def _by_influence(run: TrainingRun) -> list[int]:
    return influence.most_influential(lambda inputs: outputs_of(run.network, inputs), run.test_inputs, run.test_weights)


def _baseline(run: TrainingRun) -> dict[str, float]:
    dataset, train = run.dataset, run.split.train
    targets, weights = dataset.targets[train], dataset.weights_of(train)
    if not dataset.classifies:
        return evaluate.number_baseline(targets, run.test_targets, weights, run.test_weights)
    return evaluate.class_baseline(targets, run.test_targets, len(dataset.labels), weights, run.test_weights)


def _thresholds(run: TrainingRun, probabilities: NDArray[Any]) -> thresholds.Thresholds:
    dataset, validation = run.dataset, run.split.validation
    best = None
    if len(validation):
        outputs = onnx_export.outputs_of(outputs_of(run.network, dataset.inputs[validation]), run.output_activation)
        best = thresholds.best_by_f1(outputs[0], dataset.targets[validation], dataset.weights_of(validation))
    return thresholds.thresholds(probabilities, run.test_targets, run.test_weights, best)
