"""The errors of a training run; each message is one sentence that says what to do.

TrainingError
├── OptionError      an option has an invalid value
├── DataError        the data cannot be read, or cannot be trained on
├── Diverged         the loss is not finite
├── ParityError      the exported graph does not compute what the network computes
├── PipelineError    a step of a scikit-learn pipeline cannot be part of a graph
├── ClusterError     a Ray cluster cannot be used, or its workers fail
├── GraphError       an ONNX file of another framework cannot be served
└── NotPromoted      the version would break clients of the newest one, or is worse
"""

from __future__ import annotations

from collections.abc import Sequence


class TrainingError(Exception):
    """Base class; the command line prints the message and exits with 1."""


class OptionError(TrainingError):
    """An option's value is out of bounds, or does not fit the data."""


class DataError(TrainingError):
    """A data set is missing, damaged, or cannot be trained on."""


class Diverged(TrainingError):
    """Losses or weights are NaN or infinite."""


class ParityError(TrainingError):
    """ONNX Runtime and torch differ; nothing is published."""


class PipelineError(TrainingError):
    """A scikit-learn pipeline cannot be published as a graph; the message names the step."""


class ClusterError(TrainingError):
    """A Ray cluster cannot be used, or its workers failed too often; nothing is published."""


class GraphError(TrainingError):
    """An ONNX file cannot be served. The message has a line for each of the ``faults``."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(["the graph cannot be served:", *(f"- {each}" for each in faults)]))


class NotPromoted(TrainingError):
    """A version is not published, for reasons that the user may overrule.

    The message has a line for each of the ``reasons``, then the ``summary``, which says how to overrule them.
    """

    def __init__(self, fault: str, reasons: Sequence[str], remedy: str) -> None:
        self.fault = fault
        self.reasons = tuple(reasons)
        self.summary = f"not published: {fault}; {remedy}"
        super().__init__("\n".join([*(f"- {each}" for each in reasons), self.summary]))


def joined(subject: object, faults: Sequence[str]) -> str:
    """One message for all ``faults`` of a subject, such as a file: the only one, or a list."""
    if len(faults) == 1:
        return faults[0]
    return f"{subject} has {len(faults)} errors:" + "".join(f"\n- {each}" for each in faults)


def first_line(error: BaseException) -> str:
    """The first line of the message of an ``error`` that a library raised, or its type if there is no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
