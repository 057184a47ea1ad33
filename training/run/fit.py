"""The last steps of a run: train a network for a data set, and publish it. Imports torch, which takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from training.cluster.choice import Cluster
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine import device, trainer
from training.engine.arithmetic import Arithmetic
from training.engine.trainer import Epoch
from training.recipe import sizing
from training.recipe import train as recipe
from training.recipe.train import TrainResult
from training.release import card_scores, pipeline
from training.release.training_run import Candidate, TrainingRun
from training.run import progress
from training.run.interrupt import Interrupts
from training.run.observers import Observer, Start


def train(  # noqa: PLR0913 - what is trained, how, where, and who is told
    name: str,
    command: str,
    dataset: Dataset,
    parts: Split,
    config: Config,
    console: Console,
    interrupts: Interrupts,
    observer: Observer,
    *,
    cluster: Cluster | None = None,
) -> TrainingRun:
    """Train a network for ``dataset``, with a progress bar, and print how it went.

    ``command`` is what started the run, for the model card. ``observer`` is told of the start and each epoch; training
    stops when its `on_epoch` returns True. With a ``cluster``, its workers train. Raises `TrainingError`.
    """
    config = sizing.resolved(config, parts.train_rows)
    train_network, device_text = _place(config, cluster)
    console.print(
        f"{dataset.name}: {parts.train_rows:,} training rows, {len(parts.validation):,} validation rows, "
        f"{len(parts.test):,} test rows; training on {device_text}, in batches of {config.batch_size:,} rows at a peak "
        f"learning rate of {config.lr:.2g}"
    )
    observer.on_start(Start(name, command, dataset, parts, config, device_text))
    started_s = time.perf_counter()
    epochs = {"teacher epoch": config.teacher_epochs, "epoch": config.epochs}
    score_name = "accuracy" if dataset.classifies else "R²"
    with interrupts.orderly(), progress.bars(console, epochs, score_name, may_stop_early=config.patience > 0) as bars:

        def after_epoch(epoch: Epoch) -> bool | None:
            bars["epoch"](epoch)
            return observer.on_epoch(epoch)

        trained = train_network(
            *(dataset, parts, config),
            on_epoch=after_epoch,
            on_teacher_epoch=bars["teacher epoch"],
            on_step=interrupts.check,
        )
    fit_s = time.perf_counter() - started_s
    best = trainer.best_epoch(trained.history, config)
    _print_arithmetic(console, trained.arithmetic)
    if trained.teacher_history:
        console.print(f"teacher: validation accuracy {trained.teacher_history[-1].validation_score:.4f}")
    console.print(
        f"trained {_times(trained, fit_s)};{_end(trained.history, best, config)} kept the weights of epoch "
        f"{best.number} (validation loss {best.validation_loss:.4f})"
    )
    return TrainingRun(
        name=name,
        command=command,
        dataset=dataset,
        split=parts,
        network=trained.network,
        hidden=config.hidden,
        members=config.members,
        activation=config.activation,
        output_activation="softmax" if dataset.classifies else "identity",
        config=asdict(replace(config, arithmetic=trained.arithmetic.name)),
        seed=config.seed,
        device=device_text,
        history=trained.history,
        best_epoch=best,
        fit_s=fit_s,
        temperature=trained.temperature,
        teacher_history=trained.teacher_history,
    )


def _place(config: Config, cluster: Cluster | None) -> tuple[Callable[..., TrainResult], str]:
    """What trains a network, as `recipe.train_network` does, and where, in words."""
    if cluster is not None:
        from training.cluster import training as on_ray  # noqa: PLC0415 - takes seconds, and is an extra

        return partial(on_ray.train_network, cluster), cluster.described
    train_device = device.choose(config.device)
    return partial(recipe.train_network, device=train_device), device.described(train_device)


def _print_arithmetic(console: Console, arithmetic: Arithmetic) -> None:
    if arithmetic.ratio is not None:
        console.print(str(arithmetic))


def _end(history: Sequence[Epoch], best: Epoch, config: Config) -> str:
    """Why training ended before its last epoch."""
    if len(history) == config.epochs:
        return ""
    if config.patience and len(history) - best.number >= config.patience:
        return f" stopped early, as the validation loss was not lower for {config.patience} epochs;"
    return f" stopped before epoch {len(history) + 1} of {config.epochs};"


def _times(trained: TrainResult, fit_s: float) -> str:
    """The time of the epochs, apart from that of encoding the rows before and calibrating after."""
    epochs_s = sum(epoch.duration_s for epoch in trained.history)
    teacher_s = sum(epoch.duration_s for epoch in trained.teacher_history)
    count = len(trained.history)
    teacher = f", {teacher_s:.1f} s of the teacher" if trained.teacher_history else ""
    return (
        f"{count} epochs in {epochs_s:.1f} s ({epochs_s / count:.3g} s each){teacher} and "
        f"{max(fit_s - epochs_s - teacher_s, 0):.1f} s of preparing"
    )


def publish(
    run: TrainingRun, models: Path, console: Console, interrupts: Interrupts, *, breaking: bool, force: bool
) -> pipeline.Release:
    """Publish ``run`` in the folder ``models`` and print its scores. Raises as `pipeline.release`."""
    released = pipeline.release(
        run,
        models,
        quantizing=interrupts.orderly,
        publishing=interrupts.publishing,
        on_commit=interrupts.commit,
        breaking=breaking,
        force=force,
    )
    _report(released, console)
    return released


def _report(released: pipeline.Release, console: Console) -> None:
    int8 = released.candidate.int8
    if int8 is not None and int8.fault is not None:
        console.print(f"int8 is not published: {int8.fault}")
    _print_scores(released.candidate, console)
    found = released.candidate.thresholds
    if found is not None and (best := found.best) is not None:
        label = released.candidate.run.dataset.class_names[1]
        console.print(
            f"best F1 for {label!r} from a probability of {best.at:.3f} on: {best.f1:.4f} (precision "
            f"{best.precision:.4f}, recall {best.recall:.4f}); the card has a table of thresholds"
        )
    if (compared := released.candidate.judgement.compared) is not None:
        listed = ", ".join(
            f"{metric} {value:.4f} (was {compared.old[metric]:.4f})" for metric, value in compared.new.items()
        )
        console.print(f"compared with version {compared.version} on {compared.rows:,} test rows: {listed}")
        for each in compared.worse:
            console.print(f"published all the same: {each}")
    console.print(f"published {released.folder}; its card is {released.folder / 'README.md'}", soft_wrap=True)


def _print_scores(candidate: Candidate, console: Console) -> None:
    """A table at a terminal, and elsewhere a line for each precision and the baseline."""
    run, baseline = candidate.run, candidate.baseline
    if not console.is_terminal:
        for precision, scores in candidate.scores.items():
            console.print(f"test scores, {precision}: {_listed(scores)}")
        if baseline:
            console.print(f"baseline, {_baseline(run)}: {_listed(baseline)}")
        return
    columns = {**candidate.scores, **({"baseline": baseline} if baseline else {})}
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(f"on {len(run.split.test):,} test rows")
    for name in columns:
        grid.add_column(name, justify="right")
    for metric in next(iter(candidate.scores.values())):
        cells = (card_scores.shown(metric, each[metric]) if metric in each else "" for each in columns.values())
        grid.add_row(card_scores.NAMES[metric], *cells)
    console.print()
    console.print(grid)
    if baseline:
        console.print(f"baseline: {_baseline(run)}")
    console.print()


def _listed(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())


def _baseline(run: TrainingRun) -> str:
    return f"always {run.commonest_class!r}" if run.dataset.classifies else "always the mean, or for mae the median"
