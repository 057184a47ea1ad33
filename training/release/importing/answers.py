"""What a foreign graph answers to rows, and whether its conversion answers the same to all of them at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.special import softmax

from training.errors import GraphError, first_line
from training.release import onnx_runtime
from training.release.importing.faults import dims_of, inputs_of
from training.release.importing.graph import Foreign, Label, Role

# How far the converted graph may be from the original one, and a batch from its rows one by one.
_TOLERANCE: Final = 1e-5
_SUM_TOLERANCE: Final = 1e-3


def original(foreign: Foreign, rows: NDArray[Any], widths: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The answers (rows, columns) and labels (rows,) of the foreign graph, row by row: its batch may be fixed to one.

    ``widths`` are the columns of ``rows`` (rows, features) for each of its inputs. Raises `GraphError`.
    """
    model = onnx.ModelProto()
    model.CopyFrom(foreign.model)
    if foreign.answer not in {each.name for each in model.graph.output}:
        model.graph.output.append(onnx.helper.make_tensor_value_info(foreign.answer, foreign.answer_type, None))
    wanted = [foreign.answer, *([foreign.label] if foreign.label else [])]
    ends = np.cumsum([0, *widths])
    answers, labels = [], []
    try:
        session = onnx_runtime.ForeignSession(model.SerializeToString(), wanted)
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


def role_of(
    answers: NDArray[Any], labels: Sequence[Label], targets: tuple[str, ...], *, logits: bool
) -> tuple[Role, tuple[str, ...]]:
    """What the ``answers`` (rows, columns) are, and the names of the targets.

    ``labels``, ``targets`` and ``logits`` are what is said of them, empty or False if nothing is. Raises `GraphError`
    if that is not clear.
    """
    columns = answers.shape[1]
    classes = max(columns, 2)
    are_probabilities = _are_probabilities(answers)
    faults = []
    if targets and (labels or logits):
        faults.append("--targets are for numbers, and --labels and --logits for classes; give one of them")
    elif targets or (columns == 1 and not labels and not logits):
        names = targets or ("target",)
        if len(names) == columns:
            return "values", names
        faults.append(f"--targets has {len(names)} names, expected {columns}")
    elif not labels:
        what = f"it answers with {columns} numbers a row"
        faults.append(f"{what}; name their classes with --labels a,b,…, or, if it is a regression, the --targets")
    elif len(labels) != classes:
        faults.append(f"--labels has {len(labels)}, expected {classes}, one for each class")
    if labels and not logits and not are_probabilities:
        faults.append("its answers are no probabilities, which lie from 0 to 1 and add up to 1; add --logits")
    if labels and logits and are_probabilities and columns > 1:
        faults.append("its answers are probabilities already; leave out --logits")
    if faults:
        raise GraphError(faults)
    return ("logits" if logits else "probabilities"), ("label",)


def _are_probabilities(answers: NDArray[Any]) -> bool:
    exact = answers.astype(np.float64)
    in_range = bool(((exact >= -_TOLERANCE) & (exact <= 1 + _TOLERANCE)).all())
    return in_range and (exact.shape[1] == 1 or bool((np.abs(exact.sum(axis=1) - 1) <= _SUM_TOLERANCE).all()))


def checked(content: bytes, rows: NDArray[Any], answers: NDArray[Any], role: Role) -> list[NDArray[Any]]:
    """The outputs of the converted graph for all rows at once.

    Raises `GraphError` unless they are the ``answers`` (rows, columns) of the original graph, one by one.
    """
    try:
        onnx.checker.check_model(content)
        names = ["prediction"] if role == "values" else ["probabilities", "prediction"]
        outputs: list[NDArray[Any]] = onnx_runtime.ForeignSession(content, names).run({"inputs": rows})
    except Exception as error:
        reason = _reason(error)
        raise GraphError(
            [f"it does not run on several rows at once: {reason:.120}; export it with a variable number of rows"]
        ) from error
    expected = answers.astype(np.float64)
    if role == "logits":
        logits = np.hstack([np.zeros_like(expected), expected]) if expected.shape[1] == 1 else expected
        expected = softmax(logits, axis=1)
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


def check_labels(
    foreign: Foreign, predicted: NDArray[Any] | None, prediction: NDArray[Any], labels: Sequence[Label]
) -> None:
    """Raise `GraphError` if the graph's own labels (rows,) are not the most probable ones, the ``prediction`` (rows,).

    Labels may be renamed by the user.
    """
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
