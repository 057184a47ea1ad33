"""A served version made of a foreign graph: its manifest, golden rows, example and card."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import Any, Final, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from service import artifact
from service.manifest import CLASSIFICATION, REGRESSION, Feature, InputDtype, Manifest, OutputDtype, format_of
from training.data.dataset import join_names
from training.errors import GraphError, first_line
from training.release import card_page, onnx_runtime
from training.release.importing import graph
from training.release.importing.faults import dims_of, inputs_of, opset_of
from training.release.importing.graph import Foreign, Label, Role
from training.release.markdown import code, text

_GOLDEN_ROWS: Final = 32
_NAMED: Final = 20
# How far the converted graph may be from the original one, and a batch from its rows one by one.
_TOLERANCE: Final = 1e-5
_SUM_TOLERANCE: Final = 1e-3
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
    answers, predicted = _original(foreign, rows, widths)
    labels = request.labels or (() if request.targets else foreign.labels)
    role, names = _role(request, answers, labels)
    content = graph.convert(foreign, widths, role, answers.shape[1])
    outputs = _checked(content, rows, answers, role)
    if role != "values":
        _check_labels(foreign, predicted, outputs[1], labels)
    manifest = _manifest(foreign, request, rows, names, labels, outputs)
    return Imported(manifest, _files(manifest, content, rows, outputs))


def _numpy_dtype(foreign: Foreign) -> type[np.floating[Any]]:
    return np.float64 if foreign.input_type == TensorProto.DOUBLE else np.float32


def _original(foreign: Foreign, rows: NDArray[Any], widths: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The answers (rows, columns) and labels of the foreign graph, row by row: its batch may be fixed to one."""
    model = onnx.ModelProto()
    model.CopyFrom(foreign.model)
    if foreign.answer not in {each.name for each in model.graph.output}:
        model.graph.output.append(onnx.helper.make_tensor_value_info(foreign.answer, foreign.answer_type, None))
    wanted = [foreign.answer, *([foreign.label] if foreign.label else [])]
    ends = np.cumsum([0, *widths])
    answers, labels = [], []
    try:
        session = onnx_runtime.Foreign(model.SerializeToString(), wanted)
        for row in rows[:, None]:
            feeds = {
                each.name: row[:, first:end]
                .reshape(1, *(size or end - first for size in dims_of(each)[1:]))
                .astype(onnx.helper.tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type))
                for each, first, end in zip(inputs_of(model), ends, ends[1:], strict=False)
            }
            answer, *label = session.run(feeds)
            answers.append(np.asarray(answer).reshape(1, -1))
            labels += [np.asarray(each).reshape(-1) for each in label]
        found = np.concatenate(answers)
    except Exception as error:
        reason = _reason(error)
        raise GraphError([f"ONNX Runtime {onnx_runtime.VERSION} does not run it: {reason:.300}"]) from error
    if not np.isfinite(found).all():
        raise GraphError(["its answers are not finite; give rows that it takes with --example, or their --range"])
    return found, np.concatenate(labels) if labels else None


def _role(request: Request, answers: NDArray[Any], labels: Sequence[Label]) -> tuple[Role, tuple[str, ...]]:
    """What the answers are, and the names of the targets. Raises `GraphError` if that is not clear."""
    columns = answers.shape[1]
    classes = max(columns, 2)
    are_probabilities = _are_probabilities(answers)
    faults = []
    if request.targets and (labels or request.logits):
        faults.append("--targets are for numbers, and --labels and --logits for classes; give one of them")
    elif request.targets or (columns == 1 and not labels and not request.logits):
        targets = request.targets or ("target",)
        if len(targets) != columns:
            faults.append(f"--targets has {len(targets)} names, expected {columns}")
        elif not faults:
            return "values", targets
    elif not labels:
        what = f"it answers with {columns} numbers a row"
        faults.append(f"{what}; name their classes with --labels a,b,…, or, if it is a regression, the --targets")
    elif len(labels) != classes:
        faults.append(f"--labels has {len(labels)}, expected {classes}, one for each class")
    if labels and not request.logits and not are_probabilities:
        faults.append("its answers are no probabilities, which lie from 0 to 1 and add up to 1; add --logits")
    if labels and request.logits and are_probabilities and columns > 1:
        faults.append("its answers are probabilities already; leave out --logits")
    if faults:
        raise GraphError(faults)
    return ("logits" if request.logits else "probabilities"), ("label",)


def _are_probabilities(answers: NDArray[Any]) -> bool:
    exact = answers.astype(np.float64)
    in_range = bool(((exact >= -_TOLERANCE) & (exact <= 1 + _TOLERANCE)).all())
    return in_range and (exact.shape[1] == 1 or bool((np.abs(exact.sum(axis=1) - 1) <= _SUM_TOLERANCE).all()))


def _checked(content: bytes, rows: NDArray[Any], answers: NDArray[Any], role: Role) -> list[NDArray[Any]]:
    """The outputs of the converted graph for all rows at once, which must be those of the original one by one."""
    try:
        onnx.checker.check_model(content)
        names = ["prediction"] if role == "values" else ["probabilities", "prediction"]
        outputs: list[NDArray[Any]] = onnx_runtime.Foreign(content, names).run({"inputs": rows})
    except Exception as error:
        reason = _reason(error)
        raise GraphError(
            [f"it does not run on several rows at once: {reason:.120}; export it with a variable number of rows"]
        ) from error
    expected = answers.astype(np.float64)
    if role == "logits":
        expected = _softmax(np.hstack([np.zeros_like(expected), expected]) if expected.shape[1] == 1 else expected)
    elif role == "probabilities" and expected.shape[1] == 1:
        expected = np.hstack([1 - expected, expected])
    if outputs[0].shape != expected.shape:
        raise GraphError(
            [f"it gives {outputs[0].shape} answers to {len(rows)} rows; export it with a variable number of rows"]
        )
    unit = np.maximum(np.abs(expected).max(), 1.0)
    difference = float((np.abs(outputs[0] - expected) / unit).max())
    if not difference <= _TOLERANCE:
        raise GraphError(
            [
                f"a row is answered otherwise in a batch than alone, by {difference:.2g}; export it for inference, and "
                "without operators over all rows"
            ]
        )
    return outputs


def _reason(error: Exception) -> str:
    """ONNX Runtime's message, without the place in its code."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+/\S+:\d+ ", "", first_line(error))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _check_labels(
    foreign: Foreign, predicted: NDArray[Any] | None, prediction: NDArray[Any], labels: Sequence[Label]
) -> None:
    """The graph's own labels must be those with the largest probability. Labels may be renamed by the user."""
    if predicted is None or not foreign.labels or len(foreign.labels) != len(labels):
        return
    own = [foreign.labels[index] for index in prediction.tolist()]
    wrong = sum(each != found for each, found in zip(own, predicted.tolist(), strict=True))
    if wrong:
        raise GraphError(
            [
                f"its label is not the most probable one in {wrong} of {len(own)} rows, and the service answers with "
                "that; export a classifier whose predict follows its predict_proba"
            ]
        )


def _manifest(
    foreign: Foreign,
    request: Request,
    rows: NDArray[Any],
    targets: tuple[str, ...],
    labels: Sequence[Label],
    outputs: Sequence[NDArray[Any]],
) -> Manifest:
    classifies = targets == ("label",) and len(outputs) > 1
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
