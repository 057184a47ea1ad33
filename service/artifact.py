"""What a published model is: the manifest, its layout on disk, reading and verifying it. Standard library only.

    models/<name>/<version>/
      model.onnx       the graph: ``inputs`` float32 (rows, features) -> ``probabilities``, ``prediction``
      model.int8.onnx  the same in static int8, where that is as good
      metadata.json    the manifest: this module's `Manifest`
      golden.npz       held-out rows, torch's answers for them, and the int8 graph's
      example.json     one held-out row as a request body

Training writes through this module and the service reads through it: it is the only place where the two meet.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
MANIFEST: Final = "metadata.json"
GOLDEN: Final = "golden.npz"
EXAMPLE: Final = "example.json"
MODEL: Final = "model.onnx"
MODEL_INT8: Final = "model.int8.onnx"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class ArtifactError(Exception):
    """A published model, or what claims to be one, cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column, with its statistics over the training rows in the values' own unit."""

    name: str
    kind: str
    missing: bool
    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything known of one published version. Unknown keys in the file are ignored, so that a format can grow.

    ``input_shape`` is what a client may nest a row to; its product is ``len(features)``. ``input_dtype`` is the dtype
    of the raw data, ``uint8`` or ``float32``. ``scores`` has one mapping of metric to value for each precision.
    ``parity`` says how far ONNX Runtime was from torch. ``files`` maps every other file of the folder to its SHA-256.
    """

    format: int
    name: str
    version: int
    task: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    opset: int
    files: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]
    parity: Mapping[str, float]
    data: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int
    libraries: Mapping[str, str]
    git_commit: str | None
    created: str

    def to_json(self) -> str:
        """The text of ``metadata.json``, one line a feature."""
        document = asdict(self)
        features = ",\n".join(f"  {json.dumps(feature, allow_nan=False)}" for feature in document.pop("features"))
        head = json.dumps(document, indent=1, allow_nan=False)
        return f'{head[:-2]},\n "features": [\n{features}\n ]\n}}\n'


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version read from disk: its manifest, and the files the service runs on, each of them verified.

    ``model_int8`` is None where the version was published without one.
    """

    manifest: Manifest
    model: bytes
    model_int8: bytes | None
    golden: bytes
    example: bytes


def sha256(content: bytes) -> str:
    """The hexadecimal digest the manifest holds for a file with this content."""
    return hashlib.sha256(content).hexdigest()


def check_name(name: str) -> str:
    """``name`` if it can be a model's, so that it is safe as a folder and in a URL; else `ArtifactError`."""
    if not _NAME.fullmatch(name):
        raise ArtifactError(
            f"model name {name!r}: a name has 1 to 128 letters, digits, '.', '_' and '-', "
            "and begins with a letter or a digit"
        )
    return name


def model_names(models_dir: Path) -> list[str]:
    """The names of all models in a folder, sorted.

    Raises `ArtifactError` where the folder does not exist or a model's name cannot be one.
    """
    try:
        folders = [path.name for path in models_dir.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise ArtifactError(f"models folder {str(models_dir)!r} cannot be read: {error.strerror}") from error
    return sorted(check_name(name) for name in folders)


def versions(model_dir: Path) -> list[int]:
    """The versions published in ``models/<name>``, ascending; none where the folder does not exist.

    Hidden folders and plain files are passed over: a version being published is hidden until it is whole. Any other
    folder whose name is no positive integer raises `ArtifactError`.
    """
    if not model_dir.exists():
        return []
    found = []
    for path in model_dir.iterdir():
        if path.name.startswith(".") or not path.is_dir():
            continue
        if not _VERSION.fullmatch(path.name):
            raise ArtifactError(
                f"{path}: a version folder is named by a positive integer such as '1', not {path.name!r}; "
                "rename it, or move it out of the models folder"
            )
        found.append(int(path.name))
    return sorted(found)


def read(version_dir: Path) -> Artifact:
    """Read one version and verify what the service runs on: manifest, graph, golden rows and example.

    The bytes that were hashed are the bytes returned, so nothing can change between the check and the use. Pictures and
    the card are for people and are not read. Raises `ArtifactError`.
    """
    manifest = read_manifest(version_dir)
    content = {name: _verified(version_dir, name, manifest.files) for name in (MODEL, GOLDEN, EXAMPLE)}
    int8 = _verified(version_dir, MODEL_INT8, manifest.files) if MODEL_INT8 in manifest.files else None
    return Artifact(manifest, content[MODEL], int8, content[GOLDEN], content[EXAMPLE])


def read_manifest(version_dir: Path) -> Manifest:
    """Read ``metadata.json`` alone, checking every field and that it belongs to this folder. Raises `ArtifactError`."""
    path = version_dir / MANIFEST
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; publish the model again") from error
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}; publish the model again") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is not a JSON object; publish the model again")
    _check_format(path, document.get("format"))
    manifest = _manifest_from(path, document)
    if (manifest.name, str(manifest.version)) != (version_dir.parent.name, version_dir.name):
        raise ArtifactError(
            f"{path} is of model {manifest.name!r} version {manifest.version}, but lies in the folder of "
            f"{version_dir.parent.name!r} version {version_dir.name}; move it to {manifest.name}/{manifest.version}"
        )
    return manifest


def _check_format(path: Path, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ArtifactError(f"{path}: 'format' is {number!r}, expected a positive integer; publish the model again")
    if number > FORMAT:
        raise ArtifactError(
            f"{path}: 'format' is {number}, and this release reads up to {FORMAT}; "
            "install a newer mlp-serving, or publish the model with this one"
        )


def _verified(version_dir: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    path = version_dir / name
    if name not in hashes:
        raise ArtifactError(f"{version_dir / MANIFEST}: 'files' does not list {name}; publish the model again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; publish the model again") from error
    if sha256(content) != hashes[name]:
        raise ArtifactError(
            f"{path} ({len(content)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            f"{MANIFEST}; copy the version again, or publish it anew"
        )
    return content


def _manifest_from(path: Path, document: dict[str, Any]) -> Manifest:
    def refuse(what: str, value: object, expected: str) -> ArtifactError:
        return ArtifactError(f"{path}: {what} is {value!r:.60}, expected {expected}; publish the model again")

    def field(key: str, kinds: tuple[type, ...], holder: Mapping[str, Any] = document, where: str = "") -> Any:
        value = holder.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            found = value if key in holder else "missing"
            raise refuse(f"{where}{key!r}", found, " or ".join(kind.__name__ for kind in kinds))
        return value

    def feature(index: int, holder: object) -> Feature:
        where = f"'features'[{index}] "
        if not isinstance(holder, dict):
            raise refuse(where.rstrip(), holder, "an object")
        return Feature(
            name=field("name", (str,), holder, where),
            kind=field("kind", (str,), holder, where),
            missing=field("missing", (bool,), holder, where),
            **{key: float(field(key, (int, float), holder, where)) for key in ("mean", "std", "min", "max")},
        )

    kinds = {"str": (str,), "int": (int,), "str | None": (str, type(None))}
    values = {
        each.name: field(each.name, kinds.get(str(each.type), (list if "tuple" in str(each.type) else dict,)))
        for each in fields(Manifest)
    }
    features = tuple(feature(*pair) for pair in enumerate(values["features"]))
    labels, shape = tuple(values["classes"]), tuple(values["input_shape"])
    names = [each.name for each in features]
    for key, holds, expected in (
        ("features", len(set(names)) == len(names), "names that differ"),
        ("input_shape", _is_shape_of(shape, len(features)), f"a shape that holds the {len(features)} features"),
        ("classes", _are_labels(labels), "two or more labels that differ"),
        ("task", values["task"] == "classification", "'classification'"),
        ("input_dtype", values["input_dtype"] in {"uint8", "float32"}, "'uint8' or 'float32'"),
    ):
        if not holds:
            raise refuse(repr(key), values[key], expected)
    return Manifest(**(values | {"classes": labels, "input_shape": shape, "features": features}))


def _is_shape_of(shape: tuple[Any, ...], count: int) -> bool:
    return all(type(size) is int and size > 0 for size in shape) and math.prod(shape) == count


def _are_labels(labels: tuple[Any, ...]) -> bool:
    return all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels) >= 2
