"""Train on a loaded data set, release the network, and report both. Imports torch, which takes seconds."""

from __future__ import annotations

import time
from dataclasses import asdict

from rich.console import Console

from training.cli import parser, progress
from training.cli.interrupt import Interrupts
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine import device, subnormal, trainer
from training.recipe import sizing, train
from training.recipe.train import TrainResult
from training.release import pipeline
from training.release.training_run import TrainingRun


@subnormal.flushed()
def train_and_release(
    name: str,
    command: parser.Command,
    dataset: Dataset,
    parts: Split,
    config: Config,
    console: Console,
    interrupts: Interrupts,
) -> None:
    """Train as ``config`` says, and publish the network as the next version of ``name``. Raises `TrainingError`."""
    run = _train(name, command.text, dataset, parts, config, console, interrupts)
    released = pipeline.release(
        run,
        command.models,
        quantizing=interrupts.orderly,
        publishing=interrupts.publishing,
        on_commit=interrupts.commit,
        breaking=command.breaking,
        force=command.force,
    )
    _report(released, console)


def _train(
    name: str,
    command: str,
    dataset: Dataset,
    parts: Split,
    config: Config,
    console: Console,
    interrupts: Interrupts,
) -> TrainingRun:
    config = sizing.resolved(config, len(parts.train))
    train_device = device.choose(config.device)
    device_text = device.described(train_device)
    console.print(
        f"{dataset.name}: {len(parts.train):,} training rows, {len(parts.validation):,} validation rows, "
        f"{len(parts.test):,} test rows; training on {device_text}, in batches of {config.batch_size:,} rows at a peak "
        f"learning rate of {config.lr:.2g}"
    )
    started_s = time.perf_counter()
    epochs = {"teacher epoch": config.teacher_epochs, "epoch": config.epochs}
    score_name = "accuracy" if dataset.classifies else "R²"
    with interrupts.orderly(), progress.bars(console, epochs, score_name) as on_epoch:
        trained = train.train_network(
            dataset, parts, config, train_device, on_epoch["epoch"], on_epoch["teacher epoch"], interrupts.check
        )
    fit_s = time.perf_counter() - started_s
    best = trainer.best_epoch(trained.history, config)
    if trained.teacher_history:
        console.print(f"teacher: validation accuracy {trained.teacher_history[-1].validation_score:.4f}")
    console.print(
        f"trained {_times(trained, fit_s)}; kept the weights of epoch {best.number} (validation loss "
        f"{best.validation_loss:.4f})"
    )
    return TrainingRun(
        name=name,
        command=command,
        dataset=dataset,
        split=parts,
        network=trained.network,
        hidden=config.hidden,
        activation=config.activation,
        output_activation="softmax" if dataset.classifies else "identity",
        config=asdict(config),
        seed=config.seed,
        device=device_text,
        history=trained.history,
        best_epoch=best,
        fit_s=fit_s,
        temperature=trained.temperature,
        teacher_history=trained.teacher_history,
    )


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


def _report(released: pipeline.Release, console: Console) -> None:
    int8 = released.candidate.int8
    if int8 is not None and int8.fault is not None:
        console.print(f"int8 is not published: {int8.fault}")
    for precision, scores in released.candidate.scores.items():
        listed = ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
        console.print(f"test scores, {precision}: {listed}")
    if (compared := released.candidate.judgement.compared) is not None:
        listed = ", ".join(
            f"{metric} {value:.4f} (was {compared.old[metric]:.4f})" for metric, value in compared.new.items()
        )
        console.print(f"compared with version {compared.version} on {compared.rows:,} test rows: {listed}")
        for each in compared.worse:
            console.print(f"published all the same: {each}")
    console.print(f"published {released.folder}; its card is {released.folder / 'README.md'}")
