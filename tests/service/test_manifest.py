"""The manifest: reading returns what was written, and a wrong field is named."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import artifact
from service import manifest as manifest_module
from service.cells import Cells
from service.dates import EXAMPLES
from service.importance import FeatureImportance, Importance
from service.manifest import CLASSIFICATION, FORMAT, KINDS, REGRESSION, Feature, Manifest
from service.reference import MAX_FEATURES, PIXELS, Distribution, Reference
from tests.service.errors import artifact_error
from tests.service.published import TABLE, rewrite
from tests.service.quantized import EVIDENCE

SHIPPED = Path(__file__).parents[2] / "models/fashion-mnist/1"
LABELS = "two or more distinct labels, all strings, all integers within ±(2^53 - 1), or all booleans"
PRINTABLE = "no control characters, line separators or surrogates"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"format": 1', "is not JSON: Expecting ',' delimiter: line 1 column 13 (char 12)"),
        (b'{"seed": NaN}', "is not JSON: NaN is not a JSON number"),
        (b'{"seed": -Infinity}', "is not JSON: -Infinity is not a JSON number"),
        (b"\xff\xfe\x00", "is not JSON: 'utf-16-le' codec can't decode byte 0x00 in position 2: truncated data"),
        (
            b"[" * 100_000,
            "is not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
        (b"[]", "is not a JSON object"),
    ],
)
def test_a_manifest_that_is_not_a_json_object_is_refused(version_dir: Path, content: bytes | None, fault: str) -> None:
    path = version_dir / artifact.MANIFEST
    path.unlink() if content is None else path.write_bytes(content)
    assert artifact_error(artifact.read_manifest, version_dir) == f"{path} {fault}; publish the model again"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_a_manifest_is_read_in_every_encoding_of_json(version_dir: Path, encoding: str) -> None:
    path = version_dir / artifact.MANIFEST
    expected = artifact.read_manifest(version_dir)
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    assert artifact.read_manifest(version_dir) == expected


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 0}, "'format' is 0, expected a positive integer"),
        ({"format": "1"}, "'format' is '1', expected a positive integer"),
        ({"format": True}, "'format' is True, expected a positive integer"),
        ({"name": 3}, "'name' is 3, expected a string"),
        ({"version": "1"}, "'version' is '1', expected an integer"),
        ({"version": True}, "'version' is True, expected an integer"),
        ({"git_commit": 7}, "'git_commit' is 7, expected a string or null"),
        ({"classes": "ab"}, "'classes' is 'ab', expected an array"),
        ({"files": []}, "'files' is [], expected an object"),
        ({"task": "ranking"}, "'task' is 'ranking', expected 'classification' or 'regression'"),
        ({"classes": ["a"]}, f"'classes' is ['a'], expected {LABELS}"),
        ({"classes": ["a", "a"]}, f"'classes' is ['a', 'a'], expected {LABELS}"),
        ({"classes": ["a", 2]}, f"'classes' is ['a', 2], expected {LABELS}"),
        ({"classes": [1, 1]}, f"'classes' is [1, 1], expected {LABELS}"),
        ({"classes": [1, True]}, f"'classes' is [1, True], expected {LABELS}"),
        ({"classes": [0, False]}, f"'classes' is [0, False], expected {LABELS}"),
        ({"classes": [1, "1"]}, f"'classes' is [1, '1'], expected {LABELS}"),
        ({"classes": [True, True]}, f"'classes' is [True, True], expected {LABELS}"),
        ({"classes": [1.5, 2.5]}, f"'classes' is [1.5, 2.5], expected {LABELS}"),
        ({"classes": [None, None]}, f"'classes' is [None, None], expected {LABELS}"),
        ({"classes": [["a"], ["b"]]}, f"'classes' is [['a'], ['b']], expected {LABELS}"),
        ({"classes": [0, 2**53]}, f"'classes' is [0, 9007199254740992], expected {LABELS}"),
        ({"classes": ["a\n", "b"]}, f"'classes' is ['a\\n', 'b'], expected {PRINTABLE}"),
        ({"classes": ["a\0", "b"]}, f"'classes' is ['a\\x00', 'b'], expected {PRINTABLE}"),
        ({"classes": ["a\u2028", "b"]}, f"'classes' is ['a\\u2028', 'b'], expected {PRINTABLE}"),
        ({"targets": ["a\x7f"]}, f"'targets' is ['a\\x7f'], expected {PRINTABLE}"),
        ({"int8": 7}, "'int8' is 7, expected an object or null"),
        ({"int8": {}}, "'int8' 'rows' is missing"),
        ({"task": "regression"}, "'classes' is ['ape', 'bee', 'cat'], expected none, as the task is regression"),
        ({"targets": []}, "'targets' is [], expected one or more distinct names"),
        ({"targets": ["a", "a"]}, "'targets' is ['a', 'a'], expected one or more distinct names"),
        ({"targets": ["a", "b"]}, "'targets' is ['a', 'b'], expected one name, as the task is classification"),
        ({"features": []}, "'features' is [], expected one or more, with distinct names"),
        ({"features": [7]}, "'features'[0] is 7, expected an object"),
        (
            {"input_shape": [1] * 40 + [5]},
            f"'input_shape' is {[1] * 40!r:.60}, expected a shape that holds the 5 features",
        ),
        ({"input_shape": []}, "'input_shape' is [], expected a shape that holds the 5 features"),
        ({"input_shape": [2, 2]}, "'input_shape' is [2, 2], expected a shape that holds the 5 features"),
        ({"input_shape": [-5, -1]}, "'input_shape' is [-5, -1], expected a shape that holds the 5 features"),
        ({"input_shape": [5.0]}, "'input_shape'[0] is 5.0, expected an integer"),
        ({"cells": []}, "'cells' is [], expected an object or null"),
        ({"cells": {"missing_texts": [7]}}, "'cells' 'missing_texts'[0] is 7, expected a string"),
        ({"cells": {"decimal": 1}}, "'cells' 'decimal' is 1, expected a string"),
        *(
            ({"cells": wrong}, f"'cells' is {wrong!r:.60}, expected rules for reading a table")
            for wrong in ({"decimal": ";"}, {"thousands": "."}, {"missing_numbers": [" NA"]})
        ),
        ({"input_dtype": "float16"}, "'input_dtype' is 'float16', expected 'uint8', 'float32' or 'float64'"),
        ({"output_dtype": "int64"}, "'output_dtype' is 'int64', expected 'float32' or 'float64'"),
        ({"output_dtype": "float64"}, "'output_dtype' is 'float64', expected 'float32', as the task is classification"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(version_dir: Path, change: dict[str, Any], fault: str) -> None:
    rewrite(version_dir, lambda document: document.update(change))
    path = version_dir / artifact.MANIFEST
    assert artifact_error(artifact.read_manifest, version_dir) == f"{path}: {fault}; publish the model again"


@pytest.mark.parametrize("rules", [Cells(), Cells(("-999", "NA"), ("NA",), ",", "."), Cells((), ())])
def test_the_rules_of_a_table_survive_a_round_trip(version_dir: Path, rules: Cells) -> None:
    rewrite(version_dir, lambda document: document.update(cells=dataclasses.asdict(rules)))
    assert artifact.read_manifest(version_dir).cells == rules


def test_a_missing_output_dtype_means_float32(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.pop("output_dtype"))
    assert artifact.read_manifest(version_dir).output_dtype == "float32"


SURROGATE = "\\ud800"  # as JSON can escape it


@pytest.mark.parametrize(
    ("old", "new", "where", "text"),
    [
        ('"ape"', f'"a{SURROGATE}"', "'classes'", "'a\\ud800'"),
        ('"animal"', f'"{SURROGATE}"', "'targets'", "'\\ud800'"),
        ('"height"', f'"{SURROGATE}"', "'features'", "'\\ud800'"),
        ('"Germany"', f'"{SURROGATE}"', "'features'", "'\\ud800'"),
        ('"random"', f'["x", {{"y": "{SURROGATE}"}}]', "'data'", "'\\ud800'"),
        ('"random"', f'{{"{SURROGATE}": 1}}', "'data'", "'\\ud800'"),
        ('"2026-01-01T00:00:00Z"', f'"\\udcff{SURROGATE}"', "'created'", "'\\udcff\\ud800'"),
        ('"fp32"', f'"{SURROGATE}"', "'scores'", "'\\ud800'"),
        ('"seed"', f'"{SURROGATE}": 1, "seed"', "'\\ud800'", "'\\ud800'"),
    ],
)
def test_a_surrogate_anywhere_is_refused(version_dir: Path, old: str, new: str, where: str, text: str) -> None:
    path = version_dir / artifact.MANIFEST
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    message = artifact_error(artifact.read_manifest, version_dir)
    fault = f"{where} has the string {text}, expected one that UTF-8 can encode"
    assert message == f"{path}: {fault}; publish the model again"
    assert message.isprintable()


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("1e400", "is not JSON: 1e400 exceeds float64"),
        ("-1e999", "is not JSON: -1e999 exceeds float64"),
        (str(2**63), f"is not JSON: {2**63} exceeds 64 bits"),
        ("9" * 5000, f"is not JSON: {'9' * 20} exceeds 64 bits"),
        ("[" * 40 + "]" * 40, ": 'data' is nested more than 32 deep"),
    ],
)
def test_values_that_a_json_response_cannot_represent_are_refused(version_dir: Path, value: str, fault: str) -> None:
    path = version_dir / artifact.MANIFEST
    path.write_text(path.read_text().replace('"random"', value))
    separator = "" if fault.startswith(":") else " "
    assert artifact_error(artifact.read_manifest, version_dir) == f"{path}{separator}{fault}; publish the model again"


@pytest.mark.parametrize(
    ("classes", "texts"),
    [
        (["01", "1"], ("01", "1")),
        ([0, 1, -(2**53) + 1], ("0", "1", "-9007199254740991")),
        ([False, True], ("false", "true")),
        (["a b", "\u00a0", "\U0001f469\u200d\U0001f692"], ("a b", "\u00a0", "\U0001f469\u200d\U0001f692")),
    ],
)
def test_labels_have_the_type_of_the_target(version_dir: Path, classes: list[Any], texts: tuple[str, ...]) -> None:
    rewrite(version_dir, lambda document: document.update(classes=classes))
    manifest = artifact.read_manifest(version_dir)
    assert [(type(label), label) for label in manifest.classes] == [(type(label), label) for label in classes]
    assert manifest.label_texts == texts


def test_the_int8_comparison_must_fit_the_classes(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(int8=dataclasses.asdict(EVIDENCE)))
    assert artifact.read_manifest(version_dir).int8 == EVIDENCE
    rewrite(version_dir, lambda document: document.update(classes=["a", "b"]))
    assert "expected consistent counts, with one entry for each class" in artifact_error(
        artifact.read_manifest, version_dir
    )


AGE = {"name": "age", "counts": [5, 0, 1], "edges": [0.5, 2], "missing": 3}
JOB = {"name": "job", "counts": [1, 2, 3]}
ANIMAL = {"name": "animal", "counts": [4, 5, 6]}
REFERENCE = {"rows": 9, "features": [AGE, JOB], "prediction_rows": 15, "predictions": [ANIMAL]}


def test_a_reference_is_read(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document.update(reference=REFERENCE))
    assert artifact.read_manifest(version_dir).reference == Reference(
        9,
        (Distribution("age", (5, 0, 1), (0.5, 2.0), 3), Distribution("job", (1, 2, 3))),
        15,
        (Distribution("animal", (4, 5, 6)),),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"prediction_rows": 0},
        {"features": []},
        {"features": [AGE, AGE]},
        {"features": [AGE | {"name": "pixels"}]},
        {"features": [AGE | {"counts": [5, -1, 1]}]},
        {"features": [AGE | {"counts": [0, 0, 0]}]},
        {"features": [AGE | {"counts": [5, 1]}]},
        {"features": [AGE | {"edges": [2, 0.5]}]},
        {"features": [AGE | {"edges": [0.5, 0.5]}]},
        {"features": [AGE | {"missing": -1}]},
        {"features": [AGE | {"counts": [1], "edges": []}]},
        {"features": [AGE | {"counts": [1] * 12, "edges": [*range(11)]}]},
        {"features": [JOB | {"counts": [1, 2]}]},
        {"features": [JOB | {"edges": [0.5, 1.5]}]},
        {"predictions": []},
        {"predictions": [ANIMAL, ANIMAL]},
        {"predictions": [ANIMAL | {"name": "plant"}]},
        {"predictions": [ANIMAL | {"counts": [4, 5]}]},
    ],
)
def test_a_reference_of_another_model_is_refused(version_dir: Path, change: dict[str, Any]) -> None:
    rewrite(version_dir, lambda document: document.update(reference=REFERENCE | change))
    message = artifact_error(artifact.read_manifest, version_dir)
    assert message.startswith(f"{version_dir / artifact.MANIFEST}: 'reference' is ")
    assert message.endswith(", expected distributions of the model's features and targets; publish the model again")


def test_a_reference_has_a_bounded_number_of_features() -> None:
    features = tuple(Distribution(f"f{index}", (1, 2), (0.0,)) for index in range(MAX_FEATURES + 1))
    codes = {each.name: 0 for each in features}
    for count, consistent in ((MAX_FEATURES, True), (MAX_FEATURES + 1, False)):
        reference = Reference(1, features[:count], 1, (Distribution("t", (1, 2)),))
        assert reference.is_consistent(codes, ("t",), 2) is consistent


OPTIONAL = {"output_dtype", "target_cells"}


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Manifest) if field.name not in OPTIONAL])
def test_a_manifest_without_a_field_is_refused(version_dir: Path, key: str) -> None:
    rewrite(version_dir, lambda document: document.pop(key))
    if key in {
        "git_commit",
        "seed",
        "cells",
        "int8",
        "no_int8",
        "compared",
        "baseline",
        "f1_threshold",
        "search",
        "reference",
        "importance",
    }:  # null says the same
        assert getattr(artifact.read_manifest(version_dir), key) is None
    else:
        assert f"{key!r} is " in artifact_error(artifact.read_manifest, version_dir)


@pytest.mark.parametrize(
    ("feature", "change", "fault"),
    [
        (0, {"name": None}, "'name' is None, expected a string"),
        (0, {"name": "a\tb"}, f"'name' is 'a\\tb', expected {PRINTABLE}"),
        (0, {"missing": 1}, "'missing' is 1, expected true or false"),
        (0, {"mean": "0"}, "'mean' is '0', expected a number"),
        (0, {"kind": "date"}, "'kind' is 'date', expected 'numeric', 'boolean', 'categorical' or 'datetime'"),
        (0, {"categories": ["a"]}, "'categories' is ['a'], expected none, as the feature is not categorical"),
        (2, {"other": True}, "'other' is True, expected false, as the feature is not categorical"),
        (3, {"categories": []}, "'categories' is [], expected one or more distinct strings"),
        (3, {"categories": ["a", "a"]}, "'categories' is ['a', 'a'], expected one or more distinct strings"),
        (3, {"categories": ["a", 1]}, "'categories'[1] is 1, expected a string"),
        (3, {"categories": [["a"]]}, "'categories'[0] is ['a'], expected a string"),
    ],
)
def test_a_manifest_with_a_wrong_feature_is_refused(
    version_dir: Path, feature: int, change: dict[str, Any], fault: str
) -> None:
    rewrite(version_dir, lambda document: document["features"][feature].update(change))
    path = version_dir / artifact.MANIFEST
    assert artifact_error(artifact.read_manifest, version_dir) == (
        f"{path}: 'features'[{feature}] {fault}; publish the model again"
    )


def test_duplicate_feature_names_are_refused(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document["features"][1].update(name="age"))
    assert "expected one or more, with distinct names" in artifact_error(artifact.read_manifest, version_dir)


def test_a_newer_format_is_refused_before_its_fields_are_read(version_dir: Path) -> None:
    path = version_dir / artifact.MANIFEST
    path.write_text('{"format": 3}')
    assert artifact_error(artifact.read_manifest, version_dir) == (
        f"{path}: 'format' is 3, and this release reads up to 2; install a newer mlp-serving, or publish the model "
        "with this one"
    )


def test_unknown_fields_are_ignored(version_dir: Path) -> None:
    before = artifact.read_manifest(version_dir)
    rewrite(version_dir, lambda document: (document.update(new=1), document["features"][0].update(new=1)))
    assert artifact.read_manifest(version_dir) == before


def test_a_version_in_the_wrong_folder_is_refused(version_dir: Path) -> None:
    moved = version_dir.parent / "2"
    version_dir.rename(moved)
    assert artifact_error(artifact.read, moved) == (
        f"{moved / artifact.MANIFEST} is of model 'table' version 1, but lies in the folder of 'table' version 2; "
        "move it to table/1"
    )


texts = st.text(max_size=5)
names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=5)
numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63 - 1)
categories = st.lists(texts, unique=True, max_size=4).map(tuple)
targets = st.lists(names, unique=True, max_size=4).map(tuple)
labels = (
    targets
    | st.lists(st.integers(-(2**53) + 1, 2**53 - 1), unique=True, max_size=4).map(tuple)
    | st.permutations([False, True]).map(tuple)
)


@st.composite
def features(draw: st.DrawFn) -> Feature:
    kind = draw(st.sampled_from(KINDS))
    known = draw(categories.filter(bool)) if kind == "categorical" else ()
    other = kind == "categorical" and draw(st.booleans())
    statistics = (draw(numbers) for _ in range(4))
    feature = Feature(draw(names), kind, draw(st.booleans()), known, other, *statistics)
    if kind != "datetime":
        return feature
    return replace(feature, format=draw(st.sampled_from(tuple(EXAMPLES))), has_time=draw(st.booleans()))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    columns = draw(st.lists(features(), min_size=1, max_size=4, unique_by=lambda feature: feature.name))
    task = draw(st.sampled_from((CLASSIFICATION, REGRESSION)))
    regression = task == REGRESSION
    return Manifest(
        format=FORMAT,
        name="m",
        version=draw(st.integers(1, 10**18 - 1)),
        task=task,
        classes=() if regression else draw(labels.filter(lambda each: len(each) >= 2)),
        targets=draw(targets.filter(lambda each: len(each) >= 1 if regression else len(each) == 1)),
        features=tuple(columns),
        input_shape=draw(st.sampled_from([(len(columns),), (1, len(columns)), (len(columns), 1)])),
        input_dtype=draw(st.sampled_from(["uint8", "float32", "float64"])),
        opset=draw(integers),
        files=draw(st.dictionaries(texts, texts, max_size=3)),
        scores=draw(st.dictionaries(texts, st.dictionaries(texts, numbers, max_size=2), max_size=2)),
        parity=draw(st.dictionaries(texts, numbers, max_size=2)),
        data=draw(st.dictionaries(texts, st.none() | texts | numbers | st.booleans(), max_size=3)),
        config={},
        seed=draw(st.none() | integers),
        libraries=draw(st.dictionaries(texts, texts, max_size=3)),
        git_commit=draw(st.none() | texts),
        created=draw(texts),
        output_dtype=draw(st.sampled_from(["float32", "float64"])) if regression else "float32",
    )


def distribution(name: str, codes: int) -> Distribution:
    """One that fits so many codes; 0 stands for a number."""
    return Distribution(name, tuple(range(1, codes + 1))) if codes else Distribution(name, (1, 0, 2), (-0.5, 1e300), 4)


def with_statistics(manifest: Manifest) -> Manifest:
    pixels = Distribution(PIXELS, (3, 1), (7.5,))
    features = tuple(distribution(each.name, each.codes) for each in manifest.features)
    predictions = tuple(distribution(name, len(manifest.classes)) for name in manifest.targets)
    images = manifest.input_dtype == "uint8"
    reference = Reference(7, (pixels,) if images else features, 2, predictions)
    importance = Importance(
        "mae", 0.5, 7, 3, tuple(FeatureImportance(each.name, -0.5, 2.0) for each in manifest.features)
    )
    return dataclasses.replace(manifest, reference=reference, importance=importance)


@given(manifests() | manifests().map(with_statistics))
def test_every_manifest_survives_a_round_trip(manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        version_dir = Path(folder) / manifest.name / str(manifest.version)
        version_dir.mkdir(parents=True)
        (version_dir / artifact.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        assert artifact.read_manifest(version_dir) == manifest


def test_a_manifest_has_one_line_for_each_feature(version_dir: Path) -> None:
    lines = artifact.read_manifest(version_dir).to_json().splitlines()
    assert [json.loads(line.strip().rstrip(","))["name"] for line in lines if '"kind"' in line] == [
        feature.name for feature in TABLE
    ]


def test_the_shipped_manifest_is_written_byte_for_byte() -> None:
    assert artifact.read_manifest(SHIPPED).to_json() == (SHIPPED / artifact.MANIFEST).read_text()


def test_the_schema_file_is_up_to_date_and_describes_the_shipped_manifest() -> None:
    text = Path(manifest_module.__file__).with_name("manifest.schema.json").read_text()
    printed = subprocess.run([sys.executable, "-m", "service.manifest"], capture_output=True, text=True, check=True)
    assert text == printed.stdout, "run: make manifest-schema"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    jsonschema.validate(json.loads((SHIPPED / artifact.MANIFEST).read_text()), json.loads(text))


def test_numbers_that_json_cannot_represent_are_not_written(version_dir: Path) -> None:
    manifest = dataclasses.replace(artifact.read_manifest(version_dir), parity={"error": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest.to_json()
