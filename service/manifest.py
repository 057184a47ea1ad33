"""What is known of a published model: the manifest, and every check of it. It needs the standard library only."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from service.cells import Cells
from service.int8 import Int8

FORMAT: Final = 1
CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"

KINDS: Final = ("numeric", "boolean", "categorical")

# A class as the data has it: a text, an integer or a boolean; all of a model's are of one type.
Label = str | int | bool
# Every reader of JSON holds the integers between exactly: https://www.rfc-editor.org/rfc/rfc8259#section-6
MAX_LABEL: Final = 2**53 - 1

_INT64: Final = 2**63
_MAX_DEPTH: Final = 32
# Control characters, halves of characters, and what ends a line: they break a terminal, a table or UTF-8 itself.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

_LABELS: Final = "two or more labels that differ, all texts, all integers within ±(2^53 - 1), or all booleans"
_COUNTS: Final = "counts that fit each other, of each kind one a class"
_NO_CONTROL: Final = "text without control characters, line separators and halves of characters"

_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "tuple[str, ...]": (list,),
    "tuple[Label, ...]": (list,),
    "tuple[int, ...]": (list,),
    "tuple[Feature, ...]": (list,),
    "Mapping[str, Any]": (dict,),
    "Mapping[str, str]": (dict,),
    "Mapping[str, float]": (dict,),
    "Mapping[str, Mapping[str, float]]": (dict,),
    "Cells | None": (dict, type(None)),
    "Int8 | None": (dict, type(None)),
}


class ArtifactError(Exception):
    """A published model, or what claims to be one, cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column: what values it takes, and how they stand in the graph's ``inputs``.

    ``kind`` is ``numeric``, ``boolean`` (0 or 1) or ``categorical``. A categorical value is text and stands as its
    code, the index in ``categories``; where the network was trained with an ``other``, any unknown text is taken and
    has the code ``len(categories)``. Where values may be ``missing``, a missing one stands as NaN. The statistics are
    over the training rows that have a value, in the values' own unit; a categorical's are 0, as codes have no order.
    """

    name: str
    kind: str
    missing: bool
    categories: tuple[str, ...]
    other: bool
    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything known of one published version.

    A format can grow: unknown keys in the file are ignored, and a field added later has a default for files without it.

    ``task`` is ``classification``, with two or more labels in ``classes``, in the target's own type, and the one column
    of ``targets`` they came from, or ``regression``, with no classes and one or more targets. ``input_shape`` is what a
    client may nest a row to; its product is ``len(features)``. ``input_dtype`` is the dtype of the raw data: ``uint8``
    or ``float32``, which the graph takes as float32, or ``float64``, which it takes as such, as float32 could not hold
    a feature's values apart. ``output_dtype`` is that of a regression's ``prediction``: ``float64`` where float32 could
    not hold the target's values apart. ``scores`` has one mapping of metric to value for each precision. ``parity``
    says how far ONNX Runtime was from torch. ``seed`` is None where chance was left to itself. ``files`` maps every
    other file of the folder to its SHA-256; `artifact.publish` fills it in. ``cells`` are the rules by which the texts
    of a table were read; None where there was no table: then texts stand for categories alone. ``int8`` is what shows
    the int8 graph to be as good as the other; None where there is none, or nothing that shows it.
    """

    format: int
    name: str
    version: int
    task: str
    classes: tuple[Label, ...]
    targets: tuple[str, ...]
    features: tuple[Feature, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    opset: int
    files: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]
    parity: Mapping[str, float]
    data: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int | None
    libraries: Mapping[str, str]
    git_commit: str | None
    created: str
    cells: Cells | None = None
    output_dtype: str = "float32"
    int8: Int8 | None = None

    @property
    def graph_dtype(self) -> str:
        """The dtype that rows have when the graph takes them."""
        return "float64" if self.input_dtype == "float64" else "float32"

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The labels as texts, for metrics and messages; a boolean's are JSON's."""
        return tuple(text_of(label) for label in self.classes)

    def to_json(self) -> str:
        """The text of ``metadata.json``, one line a feature."""
        document = asdict(self)
        features = ",\n".join(f"  {json.dumps(feature, allow_nan=False)}" for feature in document.pop("features"))
        head = json.dumps(document, indent=1, allow_nan=False)
        return f'{head[:-2]},\n "features": [\n{features}\n ]\n}}\n'


def text_of(label: Label) -> str:
    """``label`` as a text; a boolean as JSON writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def unprintable(text: str) -> str | None:
    """The first character of ``text`` that a name shown to people may not have, such as ``U+000A``; None without."""
    return next((f"U+{ord(each):04X}" for each in text if unicodedata.category(each) in _UNPRINTABLE), None)


def parse(path: Path, content: bytes | str) -> Manifest:
    """The manifest that the ``content`` of the file at ``path`` is, if every field is as it has to be and the folder is
    that of its name and version. Raises `ArtifactError`.
    """
    try:
        document = json.loads(content, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}; publish the model again") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is not a JSON object; publish the model again")
    _check_format(path, document.get("format"))
    _check_values(path, document)
    manifest, version_dir = _manifest_from(path, document), path.parent
    if (manifest.name, str(manifest.version)) != (version_dir.parent.name, version_dir.name):
        raise ArtifactError(
            f"{path} is of model {manifest.name!r} version {manifest.version}, but lies in the folder of "
            f"{version_dir.parent.name!r} version {version_dir.name}; move it to {manifest.name}/{manifest.version}"
        )
    return manifest


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _float(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text:.20} is beyond float64")
    return number


def _int(text: str) -> int:
    number = int(text) if len(text) <= 20 else _INT64
    if not -_INT64 <= number < _INT64:
        raise ValueError(f"{text:.20} is beyond 64 bits")
    return number


def _check_values(path: Path, document: dict[str, Any]) -> None:
    """Raise `ArtifactError` for what JSON can hold and an answer cannot: halves of characters, and endless nesting."""
    found: list[tuple[str, object, int]] = [("", document, 0)]
    while found:
        where, value, depth = found.pop()
        if depth > _MAX_DEPTH:
            raise ArtifactError(f"{path}: {where:.60} is nested more than {_MAX_DEPTH} deep; publish the model again")
        if isinstance(value, dict):
            found += [(where or repr(key), each, depth + 1) for key, pair in value.items() for each in (key, pair)]
        elif isinstance(value, list):
            found += [(where, each, depth + 1) for each in value]
        elif isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
            raise ArtifactError(
                f"{path}: {where:.60} has the text {value!r:.60}, expected one that UTF-8 can hold; "
                "publish the model again"
            )


def _check_format(path: Path, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ArtifactError(f"{path}: 'format' is {number!r}, expected a positive integer; publish the model again")
    if number > FORMAT:
        raise ArtifactError(
            f"{path}: 'format' is {number}, and this release reads up to {FORMAT}; "
            "install a newer mlp-serving, or publish the model with this one"
        )


def _manifest_from(path: Path, document: dict[str, Any]) -> Manifest:
    def refuse(what: str, value: object, expected: str) -> ArtifactError:
        return ArtifactError(f"{path}: {what} is {value!r:.60}, expected {expected}; publish the model again")

    def field(key: str, kinds: tuple[type, ...], holder: Mapping[str, Any] = document, where: str = "") -> Any:
        value = holder.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            found = value if key in holder else "missing"
            raise refuse(f"{where}{key!r}", found, " or ".join(kind.__name__ for kind in kinds))
        return value

    def values_of(kind: type, holder: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        values = {
            each.name: field(each.name, _JSON_TYPES[str(each.type)], holder, where)
            for each in fields(kind)
            if each.name in holder or each.default is MISSING  # a field added later has the value it had until then
        }
        return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}

    def check(where: str, holder: Mapping[str, Any], *checks: tuple[str, bool, str]) -> None:
        for key, holds, expected in checks:
            if not holds:
                raise refuse(f"{where}{key!r}", holder[key], expected)

    def feature(index: int, holder: object) -> Feature:
        where = f"'features'[{index}] "
        if not isinstance(holder, dict):
            raise refuse(where.rstrip(), holder, "an object")
        made = Feature(**values_of(Feature, holder, where))
        categorical = made.kind == "categorical"
        known = "one or more texts that differ" if categorical else "none, as it is not categorical"
        check(
            where,
            holder,
            ("name", _are_printable((made.name,)), _NO_CONTROL),
            ("kind", made.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("categories", _are_texts(made.categories) and bool(made.categories) == categorical, known),
            ("other", categorical or not made.other, "false, as it is not categorical"),
        )
        return made

    values = values_of(Manifest, document)
    values["features"] = features = tuple(feature(*pair) for pair in enumerate(values["features"]))
    values["cells"] = _cells_from(values.get("cells"), values_of)
    values["int8"] = _int8_from(values.get("int8"), values_of)
    manifest = Manifest(**values)
    names, labels, targets = [each.name for each in features], manifest.classes, manifest.targets
    regression = manifest.task == REGRESSION
    check(
        "",
        document,
        ("features", len(set(names)) == len(names) >= 1, "one or more, with names that differ"),
        (
            "input_shape",
            _is_shape_of(manifest.input_shape, len(names)),
            f"a shape that holds the {len(names)} features",
        ),
        ("task", manifest.task in {CLASSIFICATION, REGRESSION}, f"{CLASSIFICATION!r} or {REGRESSION!r}"),
        ("classes", regression or (_are_labels(labels) and len(labels) >= 2), _LABELS),
        ("classes", _are_printable(labels), _NO_CONTROL),
        ("classes", not regression or not labels, "none, as the task is regression"),
        ("targets", _are_texts(targets) and len(targets) >= 1, "one or more names that differ"),
        ("targets", _are_printable(targets), _NO_CONTROL),
        ("targets", regression or len(targets) == 1, "one name, as the task is classification"),
        ("cells", manifest.cells is None or manifest.cells.is_sound, "rules that a table can be read by"),
        ("input_dtype", manifest.input_dtype in {"uint8", "float32", "float64"}, "'uint8', 'float32' or 'float64'"),
        ("output_dtype", manifest.output_dtype in {"float32", "float64"}, "'float32' or 'float64'"),
        ("output_dtype", regression or manifest.output_dtype == "float32", "'float32', as the task is classification"),
        ("int8", manifest.int8 is None or manifest.int8.is_consistent(len(labels)), _COUNTS),
    )
    return manifest


def _cells_from(holder: Any, values_of: Callable[[type, Mapping[str, Any], str], dict[str, Any]]) -> Cells | None:
    return None if holder is None else Cells(**values_of(Cells, holder, "'cells' "))


def _int8_from(holder: Any, values_of: Callable[[type, Mapping[str, Any], str], dict[str, Any]]) -> Int8 | None:
    return None if holder is None else Int8(**values_of(Int8, holder, "'int8' "))


def _is_shape_of(shape: tuple[Any, ...], count: int) -> bool:
    return (
        0 < len(shape) <= _MAX_DEPTH
        and all(type(size) is int and size > 0 for size in shape)
        and math.prod(shape) == count
    )


def _are_texts(texts: tuple[Any, ...]) -> bool:
    return all(isinstance(text, str) for text in texts) and len(set(texts)) == len(texts)


def _are_labels(labels: tuple[Any, ...]) -> bool:
    """Of one type, so that neither True and 1 nor 1 and "1" stand beside each other."""
    types = {type(label) for label in labels}
    if len(types) > 1 or not types <= {str, int, bool} or len(set(labels)) < len(labels):
        return False
    return types != {int} or all(abs(label) <= MAX_LABEL for label in labels)


def _are_printable(names: tuple[Any, ...]) -> bool:
    return not any(isinstance(name, str) and unprintable(name) for name in names)
