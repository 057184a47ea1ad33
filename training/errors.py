"""The errors of a training run; each message is one sentence that says what to do.

TrainingError
├── OptionError      an option has an invalid value
├── DataError        the data cannot be read, or cannot be trained on
├── Diverged         the loss is not finite
└── ParityError      the exported graph does not compute what the network computes
"""

from __future__ import annotations


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
