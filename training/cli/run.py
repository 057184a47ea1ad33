"""A run of the command line: load → learn → evaluate → export → prove → quantise → publish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console

from training.cli import parser, progress
from training.cli.interrupt import Interrupts
from training.data import categories, source, summary
from training.data.split import split
from training.engine import device, subnormal, trainer
from training.errors import TrainingError
from training.recipe import train
from training.release import evaluate, onnx_export, onnx_runtime, parity, publish, quantize
from training.release.training_run import TrainingRun


@subnormal.flushed()
def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Train as the command line says; the exit status is 0 where a version was published, and 1 where not.

    Raises `KeyboardInterrupt` where ``interrupts`` has noted a signal, and then nothing was published.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    try:
        _run(parser.parse(arguments), console, interrupts or Interrupts())
    except TrainingError as error:
        console.print(f"mlp-train: {error}")
        return 1
    return 0


def _run(command: parser.Command, console: Console, interrupts: Interrupts) -> None:
    watch = progress.watching(console, interrupts)
    dataset = source.load(command.data, command.data_dir, command.table, command.image_size, watch)
    name = command.name or dataset.name
    publish.check(command.models, name)
    publish.check_names(dataset)
    config = command.config(images=dataset.images)
    parts = split(dataset, config)
    dataset = categories.common(dataset, parts.train)
    summary.show(console, dataset, parts.train)
    place = device.choose(config.device)
    console.print(
        f"{dataset.name}: {len(parts.train):,} rows to train on, {len(parts.validation):,} to validate, "
        f"{len(parts.test):,} to test; training on {device.described(place)}"
    )

    started_s = time.perf_counter()
    epochs = {"teacher's epoch": config.teacher_epochs, "epoch": config.epochs}
    score_name = "accuracy" if dataset.classifies else "R²"
    with interrupts.orderly(), progress.shown(console, epochs, score_name) as ended:
        learned = train.learn(dataset, parts, config, place, ended["epoch"], ended["teacher's epoch"], interrupts.check)
    fit_s = time.perf_counter() - started_s
    kept = trainer.best_epoch(learned.history, config)
    if learned.teacher_history:
        console.print(f"the teacher's validation accuracy is {learned.teacher_history[-1].validation_score:.4f}")
    console.print(
        f"trained {len(learned.history)} epochs in {fit_s:.1f} s; kept the weights of epoch {kept.number}, whose "
        f"validation loss is {kept.validation_loss:.4f}"
    )

    test_inputs, test_targets = dataset.inputs[parts.test], dataset.targets[parts.test]
    answers = train.answers_of(learned.network, test_inputs, classifies=dataset.classifies)
    judge = evaluate.classification if dataset.classifies else evaluate.regression
    scores = {"fp32": judge(answers[0], test_targets)}

    graph = onnx_export.export(learned.network, len(dataset.columns), classifies=dataset.classifies)
    twin = None
    if dataset.classifies:
        with interrupts.orderly():
            twin = quantize.compare(graph, dataset.inputs, dataset.targets, dataset.label_texts, parts, config.seed)
        if twin.fault is not None:
            console.print(f"int8 is not published: {twin.fault}")
        else:
            scores["int8"] = judge(onnx_runtime.run(twin.graph, test_inputs)[0], test_targets)

    outcome = TrainingRun(
        name=name,
        command=command.text,
        dataset=dataset,
        split=parts,
        chosen=asdict(config),
        hidden=config.hidden,
        activation=config.activation,
        seed=config.seed,
        device=device.described(place),
        history=learned.history,
        teacher_history=learned.teacher_history,
        kept=kept,
        fit_s=fit_s,
        temperature=learned.temperature,
        graph=graph,
        answers=answers,
        parity=parity.prove(graph, test_inputs, answers),
        int8=twin,
        scores=scores,
    )
    with interrupts.publishing():
        folder = publish.publish(outcome, command.models, interrupts.commit)
    for precision, found in scores.items():
        console.print(f"test, {precision}: " + ", ".join(f"{metric} {value:.4f}" for metric, value in found.items()))
    console.print(f"published {folder}; its card is {folder / 'README.md'}")
