"""Why a training run cannot go on, in one sentence that a newcomer can act on.

TrainingError
├── OptionError      an option has a value that means nothing
├── DataError        the data cannot be had, or nothing can be learned from it
├── Diverged         the loss is no number any more
└── ParityError      the exported graph does not compute what the network does
"""

from __future__ import annotations


class TrainingError(Exception):
    """Anything a run raises on purpose; the command prints it and exits with 1."""


class OptionError(TrainingError):
    """An option's value is out of its bounds, or does not fit the data."""


class DataError(TrainingError):
    """A data set is missing, damaged, or not one to learn from."""


class Diverged(TrainingError):
    """Training ran away: losses or weights are NaN or infinite."""


class ParityError(TrainingError):
    """ONNX Runtime answers otherwise than torch; nothing is published."""
