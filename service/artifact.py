"""What a published model is: the manifest's fields, reading and verifying it, the layout on disk. Standard library only.

    models/<name>/<version>/
      model.onnx     the graph: ``inputs`` float32 (rows, features) -> ``probabilities``, ``prediction``
      metadata.json  the manifest: this module's `Manifest`
      golden.npz     held-out rows and torch's answers for them
      example.json   one held-out row as a request body

Training writes through this module and the service reads through it: it is the only place where the two meet.
"""

from __future__ import annotations

import hashlib
import json
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

    ``input_shape`` is what a client may nest a row to; its product is ``len(features)``. ``input_dtype`` is the dtype of
    the raw data, ``uint8`` or ``float32``. ``scores`` has one mapping of metric to value for each precision. ``parity``
    says how far ONNX Runtime was from torch. ``files`` maps every other file of the folder to its SHA-256.
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
        features = ",\n".join(f"  {json.dumps(feature)}" for feature in document.pop("features"))
        head = json.dumps(document, indent=1, allow_nan=False)
        return f'{head[:-2]},\n "features": [\n{features}\n ]\n}}\n'


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version read from disk: its manifest, and the files the service runs on, each of them verified."""

    manifest: Manifest
    model: bytes
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
    return Artifact(manifest, model=content[MODEL], golden=content[GOLDEN], example=content[EXAMPLE])


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
    def field(key: str, kind: type | tuple[type, ...], holder: Mapping[str, Any] = document, where: str = "") -> Any:
        value = holder.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            names = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
            found = "is missing" if key not in holder else f"is {value!r:.60}"
            raise ArtifactError(f"{path}: {where}{key!r} {found}, expected {names}; publish the model again")
        return value

    def feature(index: int, holder: object) -> Feature:
        where = f"'features'[{index}] "
        if not isinstance(holder, dict):
            raise ArtifactError(f"{path}: {where}is {holder!r:.60}, expected an object; publish the model again")
        texts = {key: field(key, str, holder, where) for key in ("name", "kind")}
        numbers = {key: float(field(key, (int, float), holder, where)) for key in ("mean", "std", "min", "max")}
        return Feature(**texts, missing=field("missing", bool, holder, where), **numbers)

    kinds: dict[str, type | tuple[type, ...]] = {
        "str": str,
        "int": int,
        "str | None": (str, type(None)),
        "tuple[str, ...]": list,
        "tuple[int, ...]": list,
        "tuple[Feature, ...]": list,
    }
    values = {each.name: field(each.name, kinds.get(str(each.type), dict)) for each in fields(Manifest)}
    values["features"] = tuple(feature(*pair) for pair in enumerate(values["features"]))
    values["classes"] = tuple(values["classes"])
    values["input_shape"] = tuple(values["input_shape"])
    manifest = Manifest(**values)
    _check_consistent(path, manifest)
    return manifest


def _check_consistent(path: Path, manifest: Manifest) -> None:
    def refuse(key: str, expected: str) -> None:
        value = getattr(manifest, key)
        raise ArtifactError(f"{path}: {key!r} is {value!r:.60}, expected {expected}; publish the model again")

    product = 1
    for size in manifest.input_shape:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            refuse("input_shape", "positive integers")
        product *= size
    if not manifest.features or product != len(manifest.features):
        refuse("input_shape", f"a shape of {len(manifest.features)} features")
    names = [feature.name for feature in manifest.features]
    if len(set(names)) != len(names):
        refuse("features", "names that differ")
    if manifest.task != "classification":
        refuse("task", "'classification'")
    if len(manifest.classes) < 2 or not all(isinstance(label, str) for label in manifest.classes):
        refuse("classes", "two or more labels")
    if manifest.input_dtype not in {"uint8", "float32"}:
        refuse("input_dtype", "'uint8' or 'float32'")
    if manifest.version < 1:
        refuse("version", "a positive integer")
    check_name(manifest.name)
