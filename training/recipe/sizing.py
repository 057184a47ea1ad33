"""Options that suit the number of training rows: the batch size and the peak learning rate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from training.config import Config

_ROWS_PER_BATCH_ROW: Final = 64  # so many steps an epoch, between these bounds
_MIN_BATCH: Final = 32
_MAX_BATCH: Final = 1024
_SMALL_BATCH_LR: Final = 1e-3  # for `_MIN_BATCH` rows
_MAX_LR: Final = 4e-3


def resolved(config: Config, rows: int) -> Config:
    """``config`` with a batch size and a learning rate for ``rows`` training rows, where they are 0.

    The batch grows with the rows, by powers of two: small tables need many small steps, and large ones train in far
    fewer, larger ones as well. The learning rate grows with the square root of the batch size, which keeps the noise of
    a step about the same: https://arxiv.org/abs/2205.10287 (Malladi et al., for Adam).
    """
    batch_size = config.batch_size or batch_size_for(rows)
    return replace(config, batch_size=batch_size, lr=config.lr or lr_for(batch_size))


def batch_size_for(rows: int) -> int:
    """The batch size for ``rows`` training rows."""
    power = 2 ** round(math.log2(max(rows, 1) / _ROWS_PER_BATCH_ROW))
    return int(min(max(power, _MIN_BATCH), _MAX_BATCH))


def lr_for(batch_size: int) -> float:
    """The peak learning rate for batches of ``batch_size`` rows."""
    return min(_SMALL_BATCH_LR * math.sqrt(max(batch_size, _MIN_BATCH) / _MIN_BATCH), _MAX_LR)
