"""What a published model is: the manifest, its layout on disk, writing, reading and verifying it.

    models/<name>/<version>/
      model.onnx       the graph: ``inputs`` float32 (rows, features) -> ``probabilities`` float32 (rows, classes) and
                       ``prediction`` int64 (rows,); regression: -> ``prediction`` float32 (rows, targets)
      model.int8.onnx  the same in static int8, where that is as good
      metadata.json    the manifest: this module's `Manifest`
      golden.npz       held-out ``inputs``, torch's answers to them under the names of the graph's outputs, and the
                       int8 graph's under ``int8_`` and those names
      example.json     one held-out row as a request body
      README.md, …     the model card, its pictures and an example as a picture, for people: the service reads none

Training writes through this module and the service reads through it: it is the only place where the two meet. It needs
the standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
MANIFEST: Final = "metadata.json"
GOLDEN: Final = "golden.npz"
EXAMPLE: Final = "example.json"
MODEL: Final = "model.onnx"
MODEL_INT8: Final = "model.int8.onnx"
REQUIRED: Final = (MODEL, GOLDEN, EXAMPLE)
CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"

KINDS: Final = ("numeric", "boolean", "categorical")

_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "tuple[str, ...]": (list,),
    "tuple[int, ...]": (list,),
    "tuple[Feature, ...]": (list,),
    "Mapping[str, Any]": (dict,),
    "Mapping[str, str]": (dict,),
    "Mapping[str, float]": (dict,),
    "Mapping[str, Mapping[str, float]]": (dict,),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


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
    """Everything known of one published version. Unknown keys in the file are ignored, so that a format can grow.

    ``task`` is ``classification``, with two or more labels in ``classes`` and the one column of ``targets`` they came
    from, or ``regression``, with no classes and one or more targets. ``input_shape`` is what a client may nest a row
    to; its product is ``len(features)``. ``input_dtype`` is the dtype of the raw data, ``uint8`` or ``float32``.
    ``scores`` has one mapping of metric to value for each precision. ``parity`` says how far ONNX Runtime was from
    torch. ``seed`` is None where chance was left to itself. ``files`` maps every other file of the folder to its
    SHA-256; `publish` fills it in.
    """

    format: int
    name: str
    version: int
    task: str
    classes: tuple[str, ...]
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
    """The names of all models in a folder, sorted; hidden folders, and what a volume has of its own, are passed over.

    Raises `ArtifactError` where the folder does not exist or a model's name cannot be one.
    """
    try:
        folders = [path.name for path in models_dir.iterdir() if path.is_dir() and not _is_no_model(path.name)]
    except OSError as error:
        raise ArtifactError(f"models folder {str(models_dir)!r} cannot be read: {error.strerror}") from error
    return sorted(check_name(name) for name in folders)


def _is_no_model(name: str) -> bool:
    return name.startswith(".") or name == "lost+found"  # the latter at the root of every ext4 volume


def versions(model_dir: Path) -> list[int]:
    """The versions published in ``models/<name>``, ascending; none where the folder does not exist.

    Hidden folders and plain files are passed over: a version being published is hidden until it is whole. Any other
    folder whose name is no positive integer raises `ArtifactError`.
    """
    try:
        paths = list(model_dir.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(f"model folder {str(model_dir)!r} cannot be read: {error.strerror}") from error
    found = []
    for path in paths:
        if path.name.startswith(".") or not path.is_dir():
            continue
        if not _VERSION.fullmatch(path.name):
            raise ArtifactError(
                f"{path}: a version folder is named by a positive integer such as '1', not {path.name!r}; "
                "rename it, or move it out of the models folder"
            )
        found.append(int(path.name))
    return sorted(found)


def publish(models_dir: Path, name: str, make: Callable[[int], tuple[Manifest, Mapping[str, bytes]]]) -> Path:
    """Write the next version of ``name`` into ``models_dir``, whole or not at all; its folder.

    ``make`` gives the manifest and the content of every other file for the version it is told. It is called again, for
    a higher one, where another publisher was faster. The hashes in the manifest's ``files`` are filled in here.

    Everything is written and synced in a hidden folder, which then takes its place by one rename: an error leaves
    nothing behind, and a kill or a power failure nothing that is read (the hidden folder can be removed). Raises
    `ArtifactError` where the folder cannot be written, and where the service would refuse what was made.
    """
    model_dir = models_dir / check_name(name)
    while True:
        version = max(versions(model_dir), default=0) + 1
        manifest, files = make(version)
        manifest = replace(manifest, files={file: sha256(content) for file, content in files.items()})
        _check_publishable(manifest, model_dir / str(version))
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            _place(model_dir, version, {**files, MANIFEST: manifest.to_json().encode()})
        except _VersionTakenError:
            continue
        except OSError as error:
            raise ArtifactError(
                f"{model_dir} cannot be written: {error.strerror}; make room, give the right to write there, "
                "or name another models folder"
            ) from error
        return model_dir / str(version)


class _VersionTakenError(Exception):
    """Another publisher has put its version in this place."""


def _check_publishable(manifest: Manifest, version_dir: Path) -> None:
    _manifest_at(version_dir / MANIFEST, json.loads(manifest.to_json()))
    for name in REQUIRED:
        if name not in manifest.files:
            raise ArtifactError(f"{version_dir} would be published without {name}, which the service needs")


def _place(model_dir: Path, version: int, files: Mapping[str, bytes]) -> None:
    """Write beside the place and rename; a first version comes with its model's folder, so that none is ever empty."""
    first = not model_dir.exists()
    target = model_dir if first else model_dir / str(version)
    staging = target.parent / f".publishing-{uuid.uuid4().hex}"
    folder = staging / str(version) if first else staging
    try:
        folder.mkdir(parents=True)
        for name, content in files.items():
            with (folder / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(folder)
        _sync(staging)
        _rename(staging, target)
        _sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)  # replaces no folder that has something in it
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise _VersionTakenError from error
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(version_dir: Path) -> Artifact:
    """Read one version and verify what the service runs on: manifest, graph, golden rows and example.

    The bytes that were hashed are the bytes returned, so nothing can change between the check and the use. Pictures and
    the card are for people and are not read. Raises `ArtifactError`.
    """
    manifest = read_manifest(version_dir)
    content = {name: _verified(version_dir, name, manifest.files) for name in REQUIRED}
    int8 = _verified(version_dir, MODEL_INT8, manifest.files) if MODEL_INT8 in manifest.files else None
    return Artifact(manifest, content[MODEL], int8, content[GOLDEN], content[EXAMPLE])


def read_manifest(version_dir: Path) -> Manifest:
    """Read ``metadata.json`` alone, checking every field and that it belongs to this folder. Raises `ArtifactError`."""
    path = version_dir / MANIFEST
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; publish the model again") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}; publish the model again") from error
    return _manifest_at(path, document)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _manifest_at(path: Path, document: object) -> Manifest:
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is not a JSON object; publish the model again")
    _check_format(path, document.get("format"))
    manifest, version_dir = _manifest_from(path, document), path.parent
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

    def values_of(kind: type, holder: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        values = {each.name: field(each.name, _JSON_TYPES[str(each.type)], holder, where) for each in fields(kind)}
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
            ("kind", made.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("categories", _are_labels(made.categories) and bool(made.categories) == categorical, known),
            ("other", categorical or not made.other, "false, as it is not categorical"),
        )
        return made

    values = values_of(Manifest, document)
    values["features"] = features = tuple(feature(*pair) for pair in enumerate(values["features"]))
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
        ("classes", regression or (_are_labels(labels) and len(labels) >= 2), "two or more labels that differ"),
        ("classes", not regression or not labels, "none, as the task is regression"),
        ("targets", _are_labels(targets) and len(targets) >= 1, "one or more names that differ"),
        ("targets", regression or len(targets) == 1, "one name, as the task is classification"),
        ("input_dtype", manifest.input_dtype in {"uint8", "float32"}, "'uint8' or 'float32'"),
    )
    return manifest


def _is_shape_of(shape: tuple[Any, ...], count: int) -> bool:
    return len(shape) > 0 and all(type(size) is int and size > 0 for size in shape) and math.prod(shape) == count


def _are_labels(labels: tuple[Any, ...]) -> bool:
    return all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels)
