"""A version is published if it breaks no client and is not worse; otherwise it is kept, with all reasons."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service import artifact, refused
from tests.service.published import rewrite
from tests.training import small
from training.config import Config
from training.data.dataset import Column, Dataset, last_rows_test
from training.data.split import Split, split
from training.errors import NotPromoted, TrainingError
from training.recipe import train
from training.release import evaluate, onnx_runtime, pipeline, promotion
from training.release.training_run import TrainingRun


def trained(dataset: Dataset, *, seed: int = 0, epochs: int = 20, hidden: int = 8) -> TrainingRun:
    config = Config(hidden=(hidden,), epochs=epochs, lr=0.02, seed=seed)
    parts = split(dataset, config)
    done = train.train_network(dataset, parts, config, torch.device("cpu"), lambda _epoch: None)
    return TrainingRun(
        name="small",
        command="a test",
        dataset=dataset,
        split=parts,
        network=done.network,
        hidden=config.hidden,
        activation=config.activation,
        output_activation="softmax" if dataset.classifies else "identity",
        config=asdict(config),
        seed=seed,
        device="cpu",
        history=done.history,
        best_epoch=done.history[-1],
        fit_s=1.0,
    )


@cache
def good(seed: int = 0) -> TrainingRun:
    return trained(small.sides(1500), seed=seed)


@cache
def bad() -> TrainingRun:
    """Trained on labels that are mostly noise."""
    dataset = small.sides(1500)
    noisy = replace(dataset, targets=np.random.default_rng(1).integers(0, 2, 1500))
    return replace(trained(noisy, epochs=2), dataset=dataset)


@cache
def numbers(noise: float) -> TrainingRun:
    inputs = small.noise(800, 3)
    exact = 5 + inputs @ np.array([[1.0, 10], [2, 20], [0, 0]])
    fitted = exact + np.random.default_rng(2).normal(0, noise, exact.shape)
    run = trained(small.values(inputs, fitted, ("near", "far")), epochs=30)
    return replace(run, dataset=replace(run.dataset, targets=exact))


def refusal(run: TrainingRun, models: Path, **overruled: bool) -> NotPromoted:
    with pytest.raises(NotPromoted) as raised:
        pipeline.release(run, models, **overruled)
    return raised.value


def versions(models: Path) -> list[int]:
    return artifact.versions(models / "small")


def test_the_first_version_is_compared_with_none(tmp_path: Path) -> None:
    released = pipeline.release(good(), tmp_path)
    assert released.candidate.judgement == promotion.Judgement()
    assert artifact.read_manifest(released.folder).compared is None
    assert "## Compared" not in (released.folder / "README.md").read_text()


def test_a_retrain_with_another_seed_is_published(tmp_path: Path) -> None:
    """Most of its test rows are training rows of the older version; those are left out."""
    first, second = (pipeline.release(good(seed), tmp_path) for seed in (0, 1))
    compared = artifact.read_manifest(second.folder).compared
    assert compared is not None
    seen = set(map(bytes, good(0).dataset.inputs[good(0).split.train])) | set(
        map(bytes, good(0).dataset.inputs[good(0).split.validation])
    )
    unseen = [bytes(row) not in seen for row in good(1).test_inputs]
    assert (compared.version, compared.rows, compared.seen_rows, compared.worse) == (1, sum(unseen), 0, ())
    old = first.candidate.graph
    outputs = onnx_runtime.run(old, good(1).test_inputs[unseen])
    assert compared.old == evaluate.classification(outputs[0], good(1).test_targets[unseen])
    card = (second.folder / "README.md").read_text()
    assert "## Compared with version 1\n\nBoth fp32 graphs answered" in card
    assert f"| accuracy | {compared.old['accuracy']:.4f} | {compared.new['accuracy']:.4f} |" in card
    assert "Neither was trained on them." in card


def test_a_worse_version_is_kept_and_can_be_published_later(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    error = refusal(bad(), tmp_path)
    assert versions(tmp_path) == [1]
    kept = tmp_path / "small" / ".refused" / "small" / "1"
    publishing = f"to publish it all the same: mlp-models publish {kept}"
    assert error.summary == f"not published: small is worse than version 1; it is kept; {publishing}"
    assert str(error).endswith(f"\n{error.summary}")
    figures = (
        r"\d+\.\d\d%, and version 1 has \d+\.\d\d% on the same \d+ test rows: worse by \d+\.\d\d points, and at most"
    )
    assert re.match(rf"its accuracy is {figures} \d+\.\d\d points is allowed$", error.reasons[0])
    assert "- **worse**: its accuracy is " in (kept / "README.md").read_text()
    published = refused.publish(kept)
    assert published == tmp_path / "small" / "2"
    version = artifact.read(published)
    assert version.manifest.compared is not None
    assert version.manifest.compared.worse == error.reasons
    assert (published / "README.md").read_text().startswith("# small, version 2\n")
    assert not kept.exists()


def test_force_publishes_a_worse_version_and_says_so(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    released = pipeline.release(bad(), tmp_path, force=True)
    manifest = artifact.read_manifest(released.folder)
    assert manifest.version == 2
    assert manifest.compared is not None
    assert [each.split(" is ")[0] for each in manifest.compared.worse] == ["its accuracy", "its log-loss"]
    assert not (tmp_path / "small" / ".refused").exists()


def test_only_the_last_refused_version_is_kept(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    for _ in range(3):
        refusal(bad(), tmp_path)
    assert [path.name for path in (tmp_path / "small" / ".refused" / "small").glob("[0-9]*")] == ["3"]


def test_a_worse_regression_is_refused_by_target(tmp_path: Path) -> None:
    pipeline.release(numbers(0.1), tmp_path)
    error = refusal(numbers(20.0), tmp_path)
    assert [each.split(" is ")[0] for each in error.reasons] == [
        "its mean absolute error of 'near'",
        "its mean absolute error of 'far'",
    ]
    assert pipeline.release(numbers(0.1), tmp_path).folder.name == "2"


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            {"labels": ("ape", "cat"), "target_names": ("pet",)},
            [
                "it predicts 'pet', and predicted 'animal'",
                "it lacks the label 'bee'",
                "it has the new label 'cat', which clients do not know",
            ],
        ),
        ({"shape": (3, 1)}, []),
    ],
)
def test_a_breaking_version_is_refused_with_all_reasons(
    tmp_path: Path, change: dict[str, Any], reasons: list[str]
) -> None:
    pipeline.release(good(), tmp_path)
    run = replace(good(), dataset=replace(good().dataset, **change))
    if not reasons:
        assert pipeline.release(run, tmp_path).candidate.judgement.notes == (
            "changed since version 1: a row may be nested to (3, 1) now",
        )
        return
    error = refusal(run, tmp_path, force=True)
    assert list(error.reasons) == reasons
    assert error.fault == "small would break clients of version 1"
    assert versions(tmp_path) == [1]
    released = pipeline.release(run, tmp_path, breaking=True)
    assert released.candidate.judgement == promotion.Judgement(
        None,
        (
            *(f"breaks clients of version 1: {each}" for each in reasons),
            "not compared with version 1: its requests or answers are others",
        ),
    )
    assert "- breaks clients of version 1: it lacks the label 'bee'" in (released.folder / "README.md").read_text()


def test_a_feature_in_another_unit_is_refused(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    inputs = good().dataset.inputs * np.array([1, 1000, 1], np.float32)
    error = refusal(trained(replace(good().dataset, inputs=inputs), epochs=2), tmp_path)
    assert [each.partition(":")[0] for each in error.reasons] == ["the feature 'f1' seems to be in another unit"]


def test_a_target_in_another_unit_is_refused(tmp_path: Path) -> None:
    pipeline.release(numbers(0.1), tmp_path)
    run = numbers(0.1)
    scaled = replace(run, dataset=replace(run.dataset, targets=run.dataset.targets * np.array([1.0, 1000])))
    assert [each.partition(":")[0] for each in refusal(scaled, tmp_path).reasons] == [
        "the target 'far' seems to be in another unit"
    ]


def test_the_old_versions_category_codes_are_used_for_its_answers(tmp_path: Path) -> None:
    """The new version knows one more category, which changes all codes; the target depends on the category alone."""
    names = ("b", "c", "d")
    codes = np.random.default_rng(0).integers(0, 3, 900).astype(np.float32)
    columns = (Column("letter", "categorical", categories=names, other=True),)
    old = small.classes(codes[:, None], (codes == 1).astype(np.int64), columns=columns)
    pipeline.release(trained(old), tmp_path)
    new = replace(
        old,
        inputs=(codes[:, None] + 1).astype(np.float32),
        columns=(Column("letter", "categorical", categories=("a", *names), other=True),),
    )
    released = pipeline.release(trained(new, seed=1), tmp_path)
    compared = released.candidate.judgement.compared
    assert compared is not None
    assert compared.old["accuracy"] == compared.new["accuracy"] == 1
    # The 3 possible rows were all trained on.
    assert compared.seen_rows == compared.rows == 180
    assert released.candidate.judgement.notes[0] == "changed since version 1: 'letter' also knows 'a'"


def test_the_publishers_own_test_rows_were_seen_by_no_version(tmp_path: Path) -> None:
    run = good()
    rows = np.concatenate([run.split.train, run.split.validation, run.split.test])
    inputs, targets = run.dataset.inputs[rows], run.dataset.targets[rows]
    dataset = replace(run.dataset, inputs=inputs, targets=targets, division=last_rows_test(1500, 300))
    own = replace(run, dataset=dataset, split=Split(np.arange(1000), np.arange(1000, 1200), np.arange(1200, 1500)))
    for _ in range(2):
        released = pipeline.release(own, tmp_path)
        (released.folder / "seen-rows.npy").unlink()
        rewrite(released.folder, lambda document: document["files"].pop("seen-rows.npy"))
    compared = released.candidate.judgement.compared
    assert compared is not None
    assert (compared.rows, compared.seen_rows) == (300, 0)


def test_rows_that_the_old_version_may_have_seen_do_not_refuse_a_version_as_good_as_it_was(tmp_path: Path) -> None:
    """The older version has learned its rows by heart, and had 60 % on its own test rows."""
    run = good()
    released = pipeline.release(run, tmp_path)

    def forget(document: dict[str, Any]) -> None:
        document["files"].pop("seen-rows.npy")
        document["scores"]["fp32"] |= {"accuracy": 0.6, "log_loss": 0.9}

    rewrite(released.folder, forget)
    noisy = replace(run.dataset, targets=run.dataset.targets ^ (np.random.default_rng(3).random(1500) < 0.3))
    weak = trained(noisy, epochs=20)
    second = pipeline.release(replace(weak, dataset=run.dataset), tmp_path)
    compared = second.candidate.judgement.compared
    assert compared is not None
    assert compared.seen_rows is None
    assert compared.old["log_loss"] < compared.new["log_loss"] * 0.7
    assert compared.worse == ()
    assert "may have been trained on some of them, which favours it" in (second.folder / "README.md").read_text()


@pytest.mark.parametrize("file", ["model.onnx", "metadata.json"])
def test_a_version_that_cannot_be_read_is_passed_over(tmp_path: Path, file: str) -> None:
    """As by the server, which serves the version below it."""
    pipeline.release(good(), tmp_path)
    broken = pipeline.release(good(1), tmp_path)
    (broken.folder / file).write_bytes(b"damaged")
    error = refusal(bad(), tmp_path)
    assert error.fault == "small is worse than version 1"
    released = pipeline.release(bad(), tmp_path, force=True)
    note = released.candidate.judgement.notes[0]
    assert note.startswith(f"not compared with version 2, which cannot be served: {broken.folder / file}")


def test_a_version_that_does_not_run_is_not_compared(tmp_path: Path) -> None:
    first = pipeline.release(good(), tmp_path)
    (first.folder / "model.onnx").write_bytes(b"no graph")
    digest = artifact.sha256(b"no graph")
    rewrite(first.folder, lambda document: document["files"].update({"model.onnx": digest}))
    released = pipeline.release(bad(), tmp_path)
    assert released.candidate.judgement.compared is None
    assert released.candidate.judgement.notes[0].startswith("not compared with version 1: it does not run: ")


def test_a_models_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    (tmp_path / "small" / "latest").mkdir()
    with pytest.raises(TrainingError, match="a version folder is named by a positive integer"):
        pipeline.release(good(), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        ([0.0] * 1000, [1.0] * 4 + [0.0] * 996, False),  # 0.4 points: below the floor
        ([0.0] * 1000, [1.0] * 7 + [0.0] * 993, True),
        ([1.0] * 50 + [0.0] * 950, [0.0] * 50 + [1.0] * 60 + [0.0] * 890, False),  # 110 rows changed, 1 point net
        ([1.0] * 50 + [0.0] * 950, [0.0] * 50 + [1.0] * 80 + [0.0] * 870, True),
        ([1.0] * 10, [0.0] * 10, False),
    ],
)
def test_the_tolerance(old: list[float], new: list[float], worse: bool) -> None:
    """Two standard errors of the paired difference, or half a point."""
    measure = promotion._Measure("accuracy", "accuracy", np.array(old), np.array(new), lambda _: 0.005, str)
    assert measure.is_worse is worse


def test_the_manifest_checks_the_figures(tmp_path: Path) -> None:
    pipeline.release(good(), tmp_path)
    released = pipeline.release(good(1), tmp_path)
    rewrite(released.folder, lambda document: document["compared"].update(rows=0))
    with pytest.raises(artifact.ArtifactError, match=r"'compared' is .+, expected counts and finite scores"):
        artifact.read_manifest(released.folder)
    assert json.loads((tmp_path / "small" / "1" / "metadata.json").read_text())["compared"] is None
