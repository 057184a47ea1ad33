"""An answer encoded in steps has the bytes of the answer encoded at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from service import artifact
from service.http.codecs import json_answers
from service.http.options import Options
from service.inference.session import Outputs
from service.inference.steps import finish
from service.manifest import Manifest
from tests.service.published import publish


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small")
    return artifact.read_manifest(folder / "small" / "1")


def outputs(rows: int, classes: int) -> Outputs:
    probabilities = np.random.default_rng(rows).dirichlet(np.ones(classes), rows).astype(np.float32)
    return Outputs(probabilities, probabilities.argmax(axis=1))


@pytest.mark.parametrize("rows", [1, 7, 30])
@pytest.mark.parametrize(
    "options", [Options(), Options(top_k=2), Options(probabilities=False), Options(top_k=3, probabilities=False)]
)
def test_classes(manifest: Manifest, rows: int, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_answers, "_STEP_VALUES", 40)
    found = outputs(rows, 3)
    assert finish(json_answers.encode_in_steps(manifest, options, found)) == json_answers.encode_at_once(
        manifest, options, found
    )


@pytest.mark.parametrize("targets", [("x",), ("x", "y")])
def test_numbers(manifest: Manifest, targets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_answers, "_STEP_VALUES", 5)
    regression = dataclasses.replace(manifest, targets=targets, classes=())
    found = Outputs(None, np.random.default_rng(0).normal(0, 1, (17, len(targets))).astype(np.float32))
    whole = json_answers.encode_at_once(regression, Options(), found)
    assert finish(json_answers.encode_in_steps(regression, Options(), found)) == whole


def test_an_answer_is_large_by_its_numbers_and_labels(manifest: Manifest) -> None:
    few, many = outputs(10, 3), outputs(9_000, 10)
    many_labels = dataclasses.replace(manifest, classes=tuple(f"label {index}" for index in range(10)))
    assert isinstance(json_answers.encode(manifest, Options(), few), bytes)
    for options, is_large in (
        (Options(), True),
        (Options(probabilities=False), False),
        (Options(probabilities=False, top_k=2), True),
    ):
        assert isinstance(json_answers.encode(many_labels, options, many), bytes) != is_large
