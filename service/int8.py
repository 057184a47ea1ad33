"""Whether an int8 graph is as good as the fp32 graph: the comparison and its limits.

Training publishes an int8 graph by these limits, and the service chooses it by them. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Fewer rows cannot resolve a tenth of a percent of accuracy.
MIN_ROWS: Final = 2000
# More than training compares, and few enough that the sign test never delays a start.
MAX_ROWS: Final = 1_000_000
MAX_LOG_LOSS_RISE: Final = 0.01
MAX_ACCURACY_LOSS: Final = 0.001
MAX_LABELS_CHANGED: Final = 0.003
# No class may lose recall beyond chance: int8 flips near ties both ways, and in a class of 200 rows one row is half a
# point. There are two limits. An exact one-sided sign test over the rows of a class that changed between right and
# wrong finds small losses in large classes; over all classes its false alarm rate is 1 in 20 graphs. The limit on the
# loss itself covers small classes, where the test is too weak: below 100 rows a class may have no net loss at all. A
# graph rejected by chance costs speed, never a correct answer.
MAX_RECALL_FALL: Final = 0.01
SIGNIFICANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Int8:
    """An int8 graph compared with the fp32 graph, on rows that did not calibrate its scales."""

    rows: int
    log_loss_fp32: float
    log_loss_int8: float
    labels_changed: int
    """Number of rows with another label."""
    max_probability_change: float
    class_rows: tuple[int, ...]
    """Number of rows of each class."""
    class_lost: tuple[int, ...]
    """Number of those that only fp32 predicts correctly."""
    class_won: tuple[int, ...]
    """Number of those that only int8 predicts correctly."""

    @property
    def accuracy_loss(self) -> float:
        """The drop in accuracy, as a fraction; negative if it rises."""
        return (sum(self.class_lost) - sum(self.class_won)) / self.rows

    @property
    def log_loss_rise(self) -> float:
        """The relative rise of the log-loss."""
        if self.log_loss_int8 <= self.log_loss_fp32:
            return 0.0
        return self.log_loss_int8 / self.log_loss_fp32 - 1 if self.log_loss_fp32 > 0 else math.inf

    @property
    def recall_falls(self) -> tuple[float, ...]:
        """The drop in each class's recall, as a fraction; negative if it rises."""
        classes = zip(self.class_rows, self.class_lost, self.class_won, strict=True)
        return tuple((lost - won) / max(rows, 1) for rows, lost, won in classes)

    def is_consistent(self, classes: int) -> bool:
        """Whether the counts and losses are possible for this number of ``classes``."""
        counts = (self.class_rows, self.class_lost, self.class_won)
        integers = [self.rows, self.labels_changed, *(each for part in counts for each in part)]
        losses = (self.log_loss_fp32, self.log_loss_int8, self.max_probability_change)
        return (
            all(type(each) is int and each >= 0 for each in integers)
            and all(len(part) == classes for part in counts)
            and all(math.isfinite(each) and each >= 0 for each in losses)
            and 0 < self.rows == sum(self.class_rows) <= MAX_ROWS
            and all(lost + won <= rows for rows, lost, won in zip(*counts, strict=True))
            and sum(self.class_lost) + sum(self.class_won) <= self.labels_changed <= self.rows
        )

    def fault(self, labels: Sequence[str]) -> str | None:
        """Why the int8 graph is not as good, as a clause; None if it is. ``labels`` are the names of the classes."""
        if self.rows < MIN_ROWS:
            return f"it was compared with fp32 on {self.rows:,} rows, and {MIN_ROWS:,} are needed"
        if self.log_loss_rise > MAX_LOG_LOSS_RISE:
            return (
                f"its log-loss is {self.log_loss_int8:.4g} beside {self.log_loss_fp32:.4g} in fp32, and may rise by "
                f"{MAX_LOG_LOSS_RISE:.0%} at most"
            )
        if self.accuracy_loss > MAX_ACCURACY_LOSS:
            return f"its accuracy is {self.accuracy_loss:.2%} lower, and may be {MAX_ACCURACY_LOSS:.1%} lower at most"
        changed = self.labels_changed / self.rows
        if changed > MAX_LABELS_CHANGED:
            return f"it changes {changed:.2%} of the labels, and may change {MAX_LABELS_CHANGED:.1%} at most"
        for label, fall, lost, won in zip(labels, self.recall_falls, self.class_lost, self.class_won, strict=True):
            if fall > MAX_RECALL_FALL or _sign_test(lost, won) < SIGNIFICANCE / len(labels):
                return f"the recall of {label!r:.60} falls by {fall:.2%} ({lost} rows lost, {won} won)"
        return None


def _sign_test(lost: int, won: int) -> float:
    """The exact probability of ``lost`` or more losses among the changed rows if wins are equally likely."""
    changed = lost + won
    ways: int = sum(math.comb(changed, each) for each in range(lost, changed + 1))
    return ways / (1 << changed)
