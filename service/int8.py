"""Whether an int8 graph is as good as its fp32 twin: what was found beside each other, and the rule it is held to.

Training publishes by this rule and the service chooses by it. It needs the standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Fewer rows cannot tell a tenth of a percent of accuracy from nothing.
MIN_ROWS: Final = 2000
# More than training looks at, and few enough that a start never waits for the sign test.
MAX_ROWS: Final = 1_000_000
MAX_LOG_LOSS_RISE: Final = 0.01
MAX_ACCURACY_LOSS: Final = 0.001
MAX_LABELS_CHANGED: Final = 0.003
# No class's recall may fall, as far as that can be told from chance: an int8 graph moves answers that nearly tie to
# either side, and of a class with 200 rows a single label is half a point. Two bounds together. An exact one-sided sign
# test over the rows of a class that changed between right and wrong finds small falls in classes of many rows; over all
# classes it errs once in 20 graphs. The bound on the fall itself finds what the test is too weak for in classes of few
# rows: below 100 rows of a class it allows no net loss at all. Who is refused by chance loses speed, and no answer.
MAX_RECALL_FALL: Final = 0.01
SIGNIFICANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Int8:
    """An int8 graph beside its fp32 twin, over ``rows`` rows that its scales were not taken from.

    ``labels_changed`` counts rows. ``class_rows`` has the rows of each class; ``class_lost`` those of them that fp32
    alone answers rightly, ``class_won`` those that int8 alone does.
    """

    rows: int
    log_loss_fp32: float
    log_loss_int8: float
    labels_changed: int
    max_probability_change: float
    class_rows: tuple[int, ...]
    class_lost: tuple[int, ...]
    class_won: tuple[int, ...]

    @property
    def accuracy_loss(self) -> float:
        """By how much accuracy falls, as a share; negative where it rises."""
        return (sum(self.class_lost) - sum(self.class_won)) / self.rows

    @property
    def log_loss_rise(self) -> float:
        """By which share of itself the log-loss rises."""
        if self.log_loss_int8 <= self.log_loss_fp32:
            return 0.0
        return self.log_loss_int8 / self.log_loss_fp32 - 1 if self.log_loss_fp32 > 0 else math.inf

    @property
    def recall_falls(self) -> tuple[float, ...]:
        """By how much each class's recall falls, as a share; negative where it rises."""
        counted = zip(self.class_rows, self.class_lost, self.class_won, strict=True)
        return tuple((lost - won) / max(rows, 1) for rows, lost, won in counted)

    def is_consistent(self, classes: int) -> bool:
        """Whether these can be counts and losses of ``classes`` classes."""
        counts = (self.class_rows, self.class_lost, self.class_won)
        whole = [self.rows, self.labels_changed, *(each for part in counts for each in part)]
        losses = (self.log_loss_fp32, self.log_loss_int8, self.max_probability_change)
        return (
            all(type(each) is int and each >= 0 for each in whole)
            and all(len(part) == classes for part in counts)
            and all(math.isfinite(each) and each >= 0 for each in losses)
            and 0 < self.rows == sum(self.class_rows) <= MAX_ROWS
            and all(lost + won <= rows for rows, lost, won in zip(*counts, strict=True))
            and sum(self.class_lost) + sum(self.class_won) <= self.labels_changed <= self.rows
        )

    def fault(self, labels: Sequence[str]) -> str | None:
        """Why the graph is not shown to be as good, in a clause; None where it is. ``labels`` name the classes."""
        if self.rows < MIN_ROWS:
            return f"it was held against fp32 on {self.rows:,} rows, and {MIN_ROWS:,} are needed"
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
    """How probable ``lost`` or more of these changes are where losing and winning are as likely, exactly."""
    changed = lost + won
    ways: int = sum(math.comb(changed, each) for each in range(lost, changed + 1))
    return ways / (1 << changed)
