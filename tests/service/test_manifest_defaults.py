"""A feature's default in the manifest: which ones are valid, and manifests from before it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from service import artifact, manifest
from service.manifest import ArtifactError, Feature
from tests.service.published import TABLE, publish

HEIGHT, COUNTRY, JOB = TABLE[1], TABLE[3], TABLE[4]


def parsed(folder: Path, feature: Feature, default: object) -> Feature:
    publish(folder, features=(feature,))
    path = folder / "small" / "1" / artifact.MANIFEST
    document = json.loads(path.read_text())
    document["features"][0]["default"] = default
    return manifest.parse(path, json.dumps(document).encode()).features[0]


@pytest.mark.parametrize(
    ("feature", "default"), [(HEIGHT, 1.7), (HEIGHT, 2), (HEIGHT, None), (COUNTRY, 2.0), (JOB, 2), (JOB, None)]
)
def test_a_default_is_a_number_or_a_code(tmp_path: Path, feature: Feature, default: float | None) -> None:
    assert parsed(tmp_path, feature, default) == replace(feature, default=default)


@pytest.mark.parametrize(
    ("feature", "default", "fault"),
    [
        (COUNTRY, 3.0, "'default' is 3.0, expected a code, an integer below 3"),
        (COUNTRY, 0.5, "'default' is 0.5, expected a code, an integer below 3"),
        (COUNTRY, -1.0, "'default' is -1.0, expected a code, an integer below 3"),
        (JOB, 3.0, "'default' is 3.0, expected a code, an integer below 3"),
        (HEIGHT, "1.7", "'default' is '1.7', expected a number"),
        (HEIGHT, True, "'default' is True, expected a number"),
    ],
)
def test_another_default_is_rejected(tmp_path: Path, feature: Feature, default: object, fault: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        parsed(tmp_path, feature, default)
    assert fault in str(caught.value)


def test_a_feature_without_a_default_is_written_as_before(tmp_path: Path) -> None:
    publish(tmp_path, features=(HEIGHT, replace(HEIGHT, name="width", default=1.5)))
    document = json.loads((tmp_path / "small" / "1" / artifact.MANIFEST).read_text())
    assert [each.get("default", "absent") for each in document["features"]] == ["absent", 1.5]
