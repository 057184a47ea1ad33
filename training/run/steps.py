"""The steps of a run: prepare a data set, train a network for it, publish it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from training.config import Config
from training.data import categories, leaks, summary
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.engine import device, trainer
from training.engine.trainer import Epoch
from training.recipe import sizing
from training.recipe import train as recipe
from training.release import pipeline, promotion
from training.release import publish as publisher
from training.release.training_run import TrainingRun
from training.run import progress
from training.run.interrupt import Interrupts


def check(dataset: Dataset, models: Path, name: str) -> None:
    """Raise `TrainingError` if ``dataset`` cannot be published as model ``name`` in the folder ``models``."""
    publisher.check(models, name)
    publisher.check_names(dataset)


def prepare(dataset: Dataset, config: Config, console: Console) -> tuple[Dataset, Split]:
    """Split ``dataset``, group its rare categories, and print its columns. Raises `DataError`."""
    parts = split(dataset, config)
    dataset = leaks.with_notes(categories.group_rare(dataset, parts.train), parts.train)
    if not console.quiet:
        summary.show(console, dataset, parts.train)
    return dataset, parts


def check_clients(dataset: Dataset, parts: Split, models: Path, name: str, console: Console, *, breaking: bool) -> None:
    """Print what changes for clients of the newest version. Raises `NotPromoted` if it breaks one, not ``breaking``."""
    for note in promotion.check_interface(dataset, parts, models, name, breaking=breaking):
        console.print(note)


def train(
    name: str,
    command: str,
    dataset: Dataset,
    parts: Split,
    config: Config,
    console: Console,
    interrupts: Interrupts,
    on_epoch: Callable[[Epoch], bool | None] = lambda _: None,
) -> TrainingRun:
    """Train a network for ``dataset``, with a progress bar, and print how it went.

    ``command`` is what started the run, for the model card. Training stops when ``on_epoch`` returns True. Raises
    `TrainingError`.
    """
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
    with interrupts.orderly(), progress.bars(console, epochs, score_name) as bars:

        def after_epoch(epoch: Epoch) -> bool | None:
            bars["epoch"](epoch)
            return on_epoch(epoch)

        trained = recipe.train_network(
            dataset, parts, config, train_device, after_epoch, bars["teacher epoch"], interrupts.check
        )
    fit_s = time.perf_counter() - started_s
    best = trainer.best_epoch(trained.history, config)
    if trained.teacher_history:
        console.print(f"teacher: validation accuracy {trained.teacher_history[-1].validation_score:.4f}")
    console.print(
        f"trained {len(trained.history)} epochs in {fit_s:.1f} s; kept the weights of epoch {best.number} "
        f"(validation loss {best.validation_loss:.4f})"
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
        config=asdict(config),
        seed=config.seed,
        device=device_text,
        history=trained.history,
        best_epoch=best,
        fit_s=fit_s,
        temperature=trained.temperature,
        teacher_history=trained.teacher_history,
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
    for precision, scores in released.candidate.scores.items():
        console.print(f"test scores, {precision}: {_listed(scores)}")
    if baseline := released.candidate.baseline:
        console.print(f"baseline, {_baseline(released.candidate.run)}: {_listed(baseline)}")
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
    console.print(f"published {released.folder}; its card is {released.folder / 'README.md'}")


def _listed(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())


def _baseline(run: TrainingRun) -> str:
    return f"always {run.commonest_class!r}" if run.dataset.classifies else "always the mean, or for mae the median"
