"""The manifest of a published model, ``metadata.json``: its fields, and how it is written and checked.

Its JSON schema is in ``manifest.schema.json``, written by ``make manifest-schema``.
"""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    with_config,
)
from pydantic_core import ErrorDetails

from service import json_document
from service.cells import Cells
from service.compared import Compared
from service.dates import DateFormat
from service.importance import Importance
from service.int8 import Int8
from service.reference import PIXELS, Reference

# The newest format that this release reads. Manifests whose features need none of its fields are written in format 1.
FORMAT: Final = 2
CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"
KINDS: Final = ("numeric", "boolean", "categorical", "datetime")
# Begins the name of the hidden folder of a withdrawn version: .withdrawn-3
WITHDRAWN_PREFIX: Final = ".withdrawn-"

# A class as it is in the data. All classes of a model have one type.
Label = str | int | bool
InputDtype = Literal["uint8", "float32", "float64"]
OutputDtype = Literal["float32", "float64"]
# The largest integer that every JSON reader represents exactly: https://www.rfc-editor.org/rfc/rfc8259#section-6
MAX_LABEL: Final = 2**53 - 1

# Control characters, surrogates, line and paragraph separators: they break terminals, tables or UTF-8.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

_PRINTABLE: Final = "no control characters, line separators or surrogates"
_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "dict_type": "an object",
    "dataclass_type": "an object",
}

_Value = TypeVar("_Value")


class ArtifactError(Exception):
    """A published model cannot be used. The message names the file, the reason and the way out."""


def _unchanged(value: float, check: ValidatorFunctionWrapHandler) -> float:
    check(value)
    return value


_Number = Annotated[float, WrapValidator(_unchanged)]  # an integer stays an integer
# Types are strict: neither "1" nor true is an integer. Unknown fields are ignored, so that the format can grow. Fields'
# docstrings are for the schema: reading them takes longer than reading a manifest.
_CONFIG: Final = ConfigDict(strict=True, extra="ignore", use_attribute_docstrings=__name__ == "__main__")


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True)
class Feature:
    """One input column: its values, and how they are encoded in the graph's ``inputs``.

    The statistics are over the training rows that have a value, in the unit of the values. They are 0 for a categorical
    feature, whose codes have no order.
    """

    name: str
    kind: Literal["numeric", "boolean", "categorical", "datetime"]
    """A boolean is encoded as 0 or 1, a category as its index in ``categories``, a date as days since 1970-01-01 with
    the time of day as a fraction, and a time of day without a date as that fraction."""
    missing: bool
    """Whether values may be missing. A missing value is encoded as NaN."""
    categories: tuple[str, ...]
    """The known categories; empty unless ``kind`` is ``categorical``."""
    other: bool
    """Whether unknown categories are accepted. They are encoded as ``len(categories)``."""
    mean: float
    std: float
    min: float
    max: float
    cells: Cells | None = None
    """How the cells of this column were read; null if by the manifest's ``cells``."""
    format: DateFormat | None = None
    """How texts are read as dates or times, beside ISO 8601; null unless ``kind`` is ``datetime``."""
    has_time: bool = False
    """Whether the dates of the training rows have a time of day."""
    default: float | None = None
    """What may stand for a missing or unknown value where training saw none: the mean, or the code of unknown
    categories, or else of the most frequent one. Null if it is not known, or if values may be missing."""

    @property
    def codes(self) -> int:
        """How many values an encoded boolean or category can have; 0 for a number."""
        return {"numeric": 0, "boolean": 2, "datetime": 0}.get(self.kind, len(self.categories) + self.other)

    @property
    def encoding(self) -> tuple[object, ...]:
        """What decides how a value is read, and which number it becomes; whether it may be missing does not."""
        return self.name, self.kind, self.categories, self.cells, self.format

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return _require(name, _PRINTABLE, _are_printable((name,)))

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, categories: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("kind") == "categorical":
            return _require(categories, "one or more distinct strings", _are_distinct(categories))
        return _require(categories, "none, as the feature is not categorical", not categories)

    @field_validator("other")
    @classmethod
    def _check_other(cls, other: bool, info: ValidationInfo) -> bool:
        categorical = info.data.get("kind") == "categorical"
        return _require(other, "false, as the feature is not categorical", categorical or not other)

    @field_validator("cells")
    @classmethod
    def _check_cells(cls, cells: Cells | None) -> Cells | None:
        return _require(cells, "rules for reading a column", cells is None or cells.is_sound)

    @field_validator("format")
    @classmethod
    def _check_format(cls, form: DateFormat | None, info: ValidationInfo) -> DateFormat | None:
        datetime = info.data.get("kind") == "datetime"
        return _require(form, "null, as the feature is no datetime", datetime or form is None)

    @field_validator("default")
    @classmethod
    def _check_default(cls, default: float | None, info: ValidationInfo) -> float | None:
        if default is None or info.data.get("kind") != "categorical":
            return _require(default, "a finite number", default is None or math.isfinite(default))
        codes = len(info.data.get("categories", ())) + info.data.get("other", False)
        return _require(default, f"a code, an integer below {codes}", default in range(codes))

    def to_record(self) -> dict[str, Any]:
        """The fields for JSON, without those that a release which reads format 1 does not know unless they are set."""
        record = asdict(self)
        if self.cells is None:
            del record["cells"]
        if self.default is None:
            del record["default"]
        if self.kind != "datetime":
            del record["format"], record["has_time"]
        return record


@with_config(_CONFIG)
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is known about one published version.

    A field that was added later has a default, for manifests from before it.
    """

    format: int
    """Version of this file's format: 1, or 2 if a feature has ``cells`` of its own or is a datetime."""
    name: str
    version: int
    task: Literal["classification", "regression"]
    classes: tuple[Label, ...]
    """Two or more labels, in the type of the target: all strings, integers or booleans. Empty for a regression."""
    targets: tuple[str, ...]
    """Names of the target columns: one for a classification, one or more for a regression."""
    features: tuple[Feature, ...]
    """The input columns, in the order of the graph's ``inputs``."""
    input_shape: tuple[int, ...]
    """The shape that a client may nest a row to. Its product is the number of features."""
    input_dtype: InputDtype
    """The dtype of the raw data. The graph takes float64 as it is, and the others as float32."""
    opset: int
    """The ONNX opset of the graphs."""
    files: Mapping[str, str]
    """Every other file of the folder, with its SHA-256 in hexadecimal."""
    scores: Mapping[str, Mapping[str, _Number]]
    """Metrics on the test rows, by precision; empty for an imported graph."""
    parity: Mapping[str, _Number]
    """How far ONNX Runtime's outputs were from torch's; empty for an imported graph, which was not compared."""
    data: Mapping[str, Any]
    """Where the data came from, and the number of rows in each part."""
    config: Mapping[str, Any]
    """The options of the training run."""
    seed: int | None = None
    """The random seed; null if none was set."""
    libraries: Mapping[str, str]
    """Versions of the libraries that trained and exported the model."""
    git_commit: str | None = None
    created: str
    """Time of publication, ISO 8601."""
    cells: Cells | None = None
    """How the cells of a table were read; null if the data was not a table, and strings stand for categories alone."""
    target_cells: Mapping[str, Cells] = field(default_factory=dict)
    """How the cells of targets were read that were not read by ``cells``."""
    output_dtype: OutputDtype = "float32"
    """The dtype of a regression's ``prediction``: float64 if float32 cannot tell the target's values apart."""
    int8: Int8 | None = None
    """The comparison of the int8 graph with the fp32 one; null if there is none."""
    no_int8: str | None = None
    """Why there is no int8 graph, as a clause; null if there is one, or if the reason is not known."""
    compared: Compared | None = None
    """The comparison with the version that was the newest before; null if there was none, or it could not be run."""
    baseline: Mapping[str, _Number] | None = None
    """Metrics on the test rows of a constant answer: the share of each class in the training rows, or their mean (for
    ``mae`` their median); null if they are not known."""
    f1_threshold: _Number | None = None
    """Of two classes: answering the second one from this probability on has the highest F1 on the validation rows. Null
    for other targets, and without such rows."""
    search: Mapping[str, Any] | None = None
    """The search that chose ``config``: its study, the number of trials, the best one; null if there was none."""
    reference: Reference | None = None
    """Distributions of the training rows and the predictions, to recognize drift; null if they are not known."""
    importance: Importance | None = None
    """How much the score on the test rows depends on each feature; null for images, and if it was not measured."""

    @field_validator("classes", mode="plain", json_schema_input_type=tuple[Label, ...])
    @classmethod
    def _check_classes(cls, classes: Any, info: ValidationInfo) -> tuple[Label, ...]:
        labels = tuple(_require(classes, "an array", isinstance(classes, list)))
        if info.data.get("task") == REGRESSION:
            return _require(labels, "none, as the task is regression", not labels)
        expected = "two or more distinct labels, all strings, all integers within ±(2^53 - 1), or all booleans"
        _require(labels, expected, _are_labels(labels))
        return _require(labels, _PRINTABLE, _are_printable(labels))

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _require(targets, "one or more distinct names", _are_distinct(targets))
        _require(targets, _PRINTABLE, _are_printable(targets))
        single = info.data.get("task") == REGRESSION or len(targets) == 1
        return _require(targets, "one name, as the task is classification", single)

    @field_validator("features")
    @classmethod
    def _check_features(cls, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
        _require(features, "one or more, with distinct names", _are_distinct([each.name for each in features]))
        known = all(each.kind != "datetime" or each.format for each in features)
        return _require(features, "a 'format' for each datetime", known)

    @field_validator("input_shape")
    @classmethod
    def _check_input_shape(cls, shape: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        count = len(info.data.get("features", ()))
        fits = 0 < len(shape) <= json_document.MAX_DEPTH and min(shape) > 0 and math.prod(shape) == count
        return _require(shape, f"a shape that holds the {count} features", fits)

    @field_validator("cells")
    @classmethod
    def _check_cells(cls, cells: Cells | None) -> Cells | None:
        return _require(cells, "rules for reading a table", cells is None or cells.is_sound)

    @field_validator("target_cells")
    @classmethod
    def _check_target_cells(cls, cells: Mapping[str, Cells], info: ValidationInfo) -> Mapping[str, Cells]:
        sound = all(each.is_sound for each in cells.values()) and set(cells) <= set(info.data.get("targets", ()))
        return _require(cells, "rules for reading targets", sound)

    @field_validator("output_dtype")
    @classmethod
    def _check_output_dtype(cls, dtype: str, info: ValidationInfo) -> str:
        regression = info.data.get("task") == REGRESSION
        return _require(dtype, "'float32', as the task is classification", regression or dtype == "float32")

    @field_validator("int8")
    @classmethod
    def _check_int8(cls, int8: Int8 | None, info: ValidationInfo) -> Int8 | None:
        consistent = int8 is None or int8.is_consistent(len(info.data.get("classes", ())))
        return _require(int8, "consistent counts, with one entry for each class", consistent)

    @field_validator("compared")
    @classmethod
    def _check_compared(cls, compared: Compared | None) -> Compared | None:
        return _require(compared, "counts and finite scores", compared is None or compared.is_consistent)

    @field_validator("reference")
    @classmethod
    def _check_reference(cls, reference: Reference | None, info: ValidationInfo) -> Reference | None:
        features, targets, classes = (info.data.get(name, ()) for name in ("features", "targets", "classes"))
        codes = {PIXELS: 0} if info.data.get("input_dtype") == "uint8" else {each.name: each.codes for each in features}
        consistent = reference is None or reference.is_consistent(codes, targets, len(classes))
        return _require(reference, "distributions of the model's features and targets", consistent)

    @field_validator("importance")
    @classmethod
    def _check_importance(cls, importance: Importance | None, info: ValidationInfo) -> Importance | None:
        names = {each.name for each in info.data.get("features", ())}
        consistent = importance is None or importance.is_consistent(names)
        return _require(importance, "finite figures of the model's features", consistent)

    @property
    def graph_dtype(self) -> OutputDtype:
        """The dtype of the graph's ``inputs``."""
        return "float64" if self.input_dtype == "float64" else "float32"

    @property
    def ignored_columns(self) -> frozenset[str]:
        """Columns of the training data that are no features: the targets, and those that training dropped."""
        dropped = self.data.get("dropped", ())
        names = {name for name in dropped if isinstance(name, str)} if isinstance(dropped, list | tuple) else set()
        return frozenset({*self.targets, *names} - {feature.name for feature in self.features})

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The labels as strings, for metrics and messages; booleans as in JSON."""
        return tuple(text_of(label) for label in self.classes)

    def to_json(self) -> str:
        """The content of ``metadata.json``, with one line for each feature, distribution and importance.

        Raises `ValueError` if a number is NaN or infinite.
        """
        document = asdict(self)
        del document["features"]
        if not self.target_cells:  # which older releases do not know
            del document["target_cells"]
        features = [each.to_record() for each in self.features]
        listed = "".join(f'"{name}": {_lines_of(document.pop(name))},\n ' for name in ("reference", "importance"))
        head = json.dumps(document, indent=1, allow_nan=False)
        return f'{head[:-2]},\n {listed}"features": {_lines(features)}\n}}\n'


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    """A JSON array with one line for each record."""
    lines = ",\n".join(f"  {json.dumps(each, allow_nan=False)}" for each in records)
    return f"[\n{lines}\n ]"


def _lines_of(document: Mapping[str, Any] | None) -> str:
    """A JSON object whose arrays have one line for each record, or null."""
    if document is None:
        return "null"
    fields = (
        f'"{name}": {_lines(value) if isinstance(value, tuple) else json.dumps(value, allow_nan=False)}'
        for name, value in document.items()
    )
    return f"{{{', '.join(fields)}}}"


def format_of(features: Iterable[Feature]) -> int:
    """The version of the manifest's format that has what these ``features`` need."""
    return 2 if any(each.cells is not None or each.kind == "datetime" for each in features) else 1


def text_of(label: Label) -> str:
    """The label as a string; a boolean as in JSON."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def unprintable(text: str) -> str | None:
    """The first character of ``text`` that a displayed name may not have, such as ``U+000A``; None without one."""
    return next((f"U+{ord(each):04X}" for each in text if unicodedata.category(each) in _UNPRINTABLE), None)


def parse(path: Path, content: bytes) -> Manifest:
    """Parse the ``content`` of the file at ``path``, ``<models>/<name>/<version>/metadata.json``.

    The folder may also be that of a withdrawn version. Raises `ArtifactError` if a field is not as expected, or names
    another model or version than the folder.
    """
    try:
        document = json_document.loads(content)
    except json_document.DocumentError as error:
        raise ArtifactError(f"{path}{error}; publish the model again") from error
    _check_format(path, document.get("format"))
    try:
        # As JSON, because the strict types take arrays and objects from JSON only.
        manifest = _adapter().validate_json(content.decode(json.detect_encoding(content)))
    except ValidationError as error:
        fault = _fault(error.errors(include_url=False)[0])
        raise ArtifactError(f"{path}: {fault}; publish the model again") from error
    name, version = path.parent.parent.name, path.parent.name.removeprefix(WITHDRAWN_PREFIX)
    if (manifest.name, str(manifest.version)) != (name, version):
        raise ArtifactError(
            f"{path} is of model {manifest.name!r} version {manifest.version}, but lies in the folder of "
            f"{name!r} version {version}; move it to {manifest.name}/{manifest.version}"
        )
    return manifest


def build_validator() -> None:
    """Build what checks manifests. Without this call, the first manifest that is read pays for it (60 ms)."""
    _adapter()


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def _check_format(path: Path, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ArtifactError(f"{path}: 'format' is {number!r}, expected a positive integer; publish the model again")
    if number > FORMAT:
        raise ArtifactError(
            f"{path}: 'format' is {number}, and this release reads up to {FORMAT}; "
            "install a newer mlp-serving, or publish the model with this one"
        )


def _fault(error: ErrorDetails) -> str:
    """The first fault that pydantic found, as a clause: ``'features'[3] 'name' is 7, expected a string``."""
    where = "".join(f"[{each}]" if isinstance(each, int) else f" {each!r}" for each in error["loc"]).lstrip()
    if error["type"] == "missing":
        return f"{where} is missing"
    context = error.get("ctx", {})
    expected = context.get("error") or context.get("expected") or _EXPECTED.get(error["type"], error["msg"])
    nullable = error["type"] in _EXPECTED and error["loc"] in _NULLABLE
    return f"{where} is {error['input']!r:.60}, expected {expected}{' or null' if nullable else ''}"


def _require(value: _Value, expected: str, holds: bool) -> _Value:
    """``value`` if the check holds; raises `ValueError` for pydantic otherwise."""
    if not holds:
        raise ValueError(expected)
    return value


def _are_distinct(texts: tuple[str, ...] | list[str]) -> bool:
    return 1 <= len(texts) == len(set(texts))


def _are_labels(labels: tuple[Any, ...]) -> bool:
    """Whether they are distinct labels of one type: neither True and 1 nor 1 and "1" may stand side by side."""
    types = {type(label) for label in labels}
    if len(types) != 1 or not types <= {str, int, bool} or len(set(labels)) < max(len(labels), 2):
        return False
    return types != {int} or all(abs(label) <= MAX_LABEL for label in labels)


def _are_printable(names: tuple[Any, ...]) -> bool:
    return not any(isinstance(name, str) and unprintable(name) for name in names)


_NULLABLE: Final = {(each.name,) for each in fields(Manifest) if str(each.type).endswith("None")}

if __name__ == "__main__":  # print the JSON schema
    _SCHEMA: Final = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter().json_schema()}
    sys.stdout.write(json.dumps(_SCHEMA, indent=1) + "\n")
