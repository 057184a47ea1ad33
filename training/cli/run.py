"""A run of the command line: load the data, train, release."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console

from training.cli import parser, progress
from training.cli.interrupt import Interrupts
from training.config import Config
from training.data import categories, source, summary
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.engine import device, subnormal, trainer
from training.errors import NotPromoted, TrainingError
from training.recipe import sizing, train
from training.release import pipeline, promotion, publish
from training.release.training_run import TrainingRun

NOT_PROMOTED: Final = 3


@subnormal.flushed()
def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Run the command line; return 0 if a version was published, `NOT_PROMOTED` if it was refused, 1 after an error.

    Raises `KeyboardInterrupt` if ``interrupts`` noted a signal; then nothing was published.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    try:
        _run(parser.parse(arguments), console, interrupts or Interrupts())
    except NotPromoted as error:
        for reason in error.reasons:
            console.print(f"- {reason}")
        console.print(f"mlp-train: {error.summary}")
        return NOT_PROMOTED
    except TrainingError as error:
        console.print(f"mlp-train: {error}")
        return 1
    return 0


def _run(command: parser.Command, console: Console, interrupts: Interrupts) -> None:
    watch = progress.watching(console, interrupts)
    dataset = source.load(command.data, command.data_options, watch)
    name = command.name or dataset.name
    publish.check(command.models, name)
    publish.check_names(dataset)
    config = command.config(images=dataset.images)
    parts = split(dataset, config)
    dataset = categories.group_rare(dataset, parts.train)
    summary.show(console, dataset, parts.train)
    for note in promotion.check_interface(dataset, parts, command.models, name, breaking=command.breaking):
        console.print(note)
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
