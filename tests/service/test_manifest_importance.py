"""The importance of features in the manifest: which figures are valid, and manifests from before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service import artifact
from service.importance import FeatureImportance, Importance
from service.manifest import ArtifactError
from tests.service.http.protocols.application import Application
from tests.service.published import TABLE, publish, rewrite

AGE = {"name": "age", "mean": 0.25, "std": 0.125}
JOB = {"name": "job", "mean": -1, "std": 0}
FOUND = {"metric": "log_loss", "score": 0.5, "rows": 9, "repeats": 10, "features": [AGE, JOB]}


@pytest.fixture
def version_dir(tmp_path: Path) -> Path:
    publish(tmp_path, features=TABLE)
    return tmp_path / "small" / "1"


def test_it_is_read(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(importance=FOUND))
    features = (FeatureImportance("age", 0.25, 0.125), FeatureImportance("job", -1.0, 0.0))
    assert artifact.read_manifest(version_dir).importance == Importance("log_loss", 0.5, 9, 10, features)


def test_a_manifest_from_before_it_is_read(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.pop("importance"))
    assert artifact.read_manifest(version_dir).importance is None


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"repeats": 0},
        {"features": []},
        {"features": [AGE, AGE]},
        {"features": [AGE | {"name": "zip"}]},
        {"features": [AGE | {"std": -0.5}]},
    ],
)
def test_impossible_figures_are_refused(version_dir: Path, change: dict[str, Any]) -> None:
    rewrite(version_dir, lambda document: document.update(importance=FOUND | change))
    with pytest.raises(ArtifactError, match=r"'importance' is .*, expected finite figures of the model's features; "):
        artifact.read_manifest(version_dir)


def test_another_metric_is_refused(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(importance=FOUND | {"metric": "auc"}))
    with pytest.raises(ArtifactError, match="'importance' 'metric' is 'auc', expected 'log_loss', 'mae' or 'r2'"):
        artifact.read_manifest(version_dir)


def test_it_has_one_line_for_each_feature(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(importance=FOUND))
    lines = artifact.read_manifest(version_dir).to_json().splitlines()
    assert '  {"name": "age", "mean": 0.25, "std": 0.125},' in lines


def test_clients_can_ask_for_it(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(importance=FOUND))
    application = Application(version_dir.parents[1])
    found = application.ask("GET", "/models/small").json()["importance"]
    application.close()
    assert found == FOUND
