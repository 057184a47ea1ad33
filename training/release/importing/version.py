"""A served version made of a foreign graph: its manifest, golden rows, example and card."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from service import artifact
from service.manifest import CLASSIFICATION, REGRESSION, Feature, InputDtype, Manifest, OutputDtype, format_of
from training.data.dataset import join_names
from training.errors import GraphError
from training.release import card_page, onnx_runtime
from training.release.importing import answers, graph
from training.release.importing.faults import dims_of, inputs_of, opset_of
from training.release.importing.graph import Foreign, Label
from training.release.markdown import code, text

_GOLDEN_ROWS: Final = 32
_NAMED: Final = 20
_DTYPES: Final[Mapping[int, InputDtype]] = {TensorProto.DOUBLE: "float64", TensorProto.UINT8: "uint8"}
_NOT_PROVED: Final = "imported from an ONNX file; its answers were not compared with those of its framework"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user says about a graph: empty where the graph is to say it.

    ``labels`` makes it a classification and ``targets`` a regression; ``logits`` says that there is no softmax in it.
    ``rows`` are rows to try it on, (rows, features), ``file`` and ``content`` the file.
    """

    name: str
    file: str
    content: bytes
    command: str
    rows: NDArray[np.float64]
    features: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    targets: tuple[str, ...] = ()
    logits: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """A version to be published: a manifest with version 0 and no hashes, and all other files but those of the card."""

    manifest: Manifest
    files: Mapping[str, bytes]


def features_of(foreign: Foreign, width: int | None) -> int:
    """The number of features that a graph takes; ``width`` is that of rows or names, if there are any."""
    known = foreign.widths
    if known != [None]:
        return sum(cast("list[int]", known))
    if width is None:
        raise GraphError(
            ["it does not say how many features it takes; name them with --features, or give an --example"]
        )
    return width


def build(foreign: Foreign, request: Request) -> Imported:
    """Convert ``foreign``, run it on the rows, and describe it. Raises `GraphError` with every fault that is found."""
    count = request.rows.shape[1]
    known = features_of(foreign, count)
    faults = []
    if count != known:
        faults.append(f"a row of --example has {count} values, expected {known}")
    if request.features and len(request.features) != known:
        faults.append(f"--features has {len(request.features)} names, expected {known}")
    if faults:
        raise GraphError(faults)
    widths = [known if each is None else each for each in foreign.widths]
    rows = request.rows.astype(_numpy_dtype(foreign))
    found, predicted = answers.original(foreign, rows, widths)
    labels = request.labels or (() if request.targets else foreign.labels)
    role, names = answers.role_of(found, labels, request.targets, logits=request.logits)
    content = graph.convert(foreign, widths, role, found.shape[1])
    outputs = answers.checked(content, rows, found, role)
    if role != "values":
        answers.check_labels(foreign, predicted, outputs[1], labels)
    manifest = _manifest(foreign, request, rows, names, labels, outputs)
    return Imported(manifest, _files(manifest, content, rows, outputs))


def _numpy_dtype(foreign: Foreign) -> type[np.floating[Any]]:
    return np.float64 if foreign.input_type == TensorProto.DOUBLE else np.float32


def _manifest(
    foreign: Foreign,
    request: Request,
    rows: NDArray[Any],
    targets: tuple[str, ...],
    labels: Sequence[Label],
    outputs: Sequence[NDArray[Any]],
) -> Manifest:
    classifies = len(outputs) > 1
    producer = foreign.model.producer_name or "unknown"
    features = _features(foreign, request, rows)
    return Manifest(
        format=format_of(features),
        name=request.name,
        version=0,
        task=CLASSIFICATION if classifies else REGRESSION,
        classes=tuple(labels) if classifies else (),
        targets=targets,
        features=features,
        input_shape=_shape(foreign, rows.shape[1]),
        input_dtype=_DTYPES.get(foreign.input_type, "float32"),
        output_dtype="float32" if classifies else cast("OutputDtype", str(outputs[0].dtype)),
        opset=opset_of(foreign.model),
        files={},
        scores={},
        parity={},
        data={"name": request.file, "from": _NOT_PROVED, "sha256": artifact.sha256(request.content), "rows": {}},
        config={"command": request.command},
        seed=None,
        libraries={
            **{name: installed(name) for name in ("mlp-serving", "onnx", "numpy")},
            "onnxruntime": onnx_runtime.VERSION,
            producer: foreign.model.producer_version or "unknown",
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _features(foreign: Foreign, request: Request, rows: NDArray[Any]) -> tuple[Feature, ...]:
    exact = rows.astype(np.float64)
    statistics = zip(exact.mean(axis=0), exact.std(axis=0), exact.min(axis=0), exact.max(axis=0), strict=True)
    return tuple(
        Feature(name, "numeric", False, (), False, float(mean), float(std), float(least), float(most))
        for name, (mean, std, least, most) in zip(
            request.features or _names(foreign, rows.shape[1]), statistics, strict=True
        )
    )


def _names(foreign: Foreign, width: int) -> tuple[str, ...]:
    """The features by the names of the graph's inputs, where each is one column."""
    inputs = inputs_of(foreign.model)
    if len(inputs) == 1:
        return tuple(f"x{index}" for index in range(width))
    return tuple(
        each.name if size == 1 else f"{each.name}_{index}"
        for each, size in zip(inputs, foreign.widths, strict=True)
        for index in range(size or 0)
    )


def _shape(foreign: Foreign, width: int) -> tuple[int, ...]:
    """The shape of a row, without the channel of a grey image."""
    inputs = inputs_of(foreign.model)
    if len(inputs) > 1:
        return (width,)
    dims = [each or width for each in dims_of(inputs[0])[1:]]
    shape = tuple(each for each in dims if each > 1)
    return shape if len(dims) > 1 and math.prod(shape) == width and shape else (width,)


def _files(manifest: Manifest, content: bytes, rows: NDArray[Any], outputs: Sequence[NDArray[Any]]) -> dict[str, bytes]:
    names = ("probabilities", "prediction") if manifest.classes else ("prediction",)
    golden = rows[:_GOLDEN_ROWS]
    arrays = dict(zip(names, (each[:_GOLDEN_ROWS] for each in outputs), strict=True))
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, inputs=golden, **cast("dict[str, Any]", arrays))
    row = golden[0].reshape(manifest.input_shape).tolist()
    return {
        artifact.MODEL: content,
        artifact.GOLDEN: file.getvalue(),
        artifact.EXAMPLE: json.dumps({"inputs": [row]}).encode(),
    }


def card(manifest: Manifest) -> dict[str, bytes]:
    """The files of the card of an imported version."""
    if manifest.classes:
        task = f"into {len(manifest.classes)} classes ({text(join_names(manifest.label_texts, _NAMED))})"
    else:
        task = f"to {text(join_names(manifest.targets, _NAMED))}"
    libraries = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
    markdown = (
        f"# {manifest.name}, version {manifest.version}\n\n"
        f"Maps rows of {len(manifest.features):,} features {task}. Imported from {code(manifest.data['name'])} "
        f"(SHA-256 {code(manifest.data['sha256'])}), written by {text(libraries)}, with "
        f"{code(manifest.config['command'])}.\n\n"
        "There are **no scores**, and its answers were **not compared with those of its framework**: the golden rows "
        "have ONNX Runtime's own answers, so the server notices a damaged graph, but not a wrong export.\n\n"
        f"## Usage\n\n    curl localhost:8000/models/{manifest.name}/predict -d @example.json\n"
    )
    return {card_page.README: markdown.encode(), card_page.FILE: card_page.page(markdown, {})}
