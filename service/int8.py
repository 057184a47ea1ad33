"""Whether an int8 graph is as good as the fp32 graph: the comparison and its limits.

Training publishes an int8 graph by these limits, and the service chooses it by them. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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

# Limits on probabilities, for clients that use them: a threshold of 5 %, an expected cost, a ranking. Where a class is
# rare, neither log-loss nor labels show such a change. Each limit allows at least twice the change that int8 makes in
# the shipped image model, whose answers are as accurate.
#
# Calibration: the expected calibration error may rise by half a percentage point, and the mean probability of a class,
# which is its predicted share of the rows, may change by 1 % of itself, however rare the class.
MAX_ECE_RISE: Final = 0.005
MAX_CLASS_SHARE_CHANGE: Final = 0.01
# A probability may change by 10 percentage points in 1 of 1,000 rows, and by 25 in none.
MAX_CHANGE_Q999: Final = 0.1
MAX_CHANGE: Final = 0.25
# Tails: in 999 of 1,000 rows no probability of `TAIL` or more may double or halve. Below, a ratio decides nothing.
MAX_RATIO_Q999: Final = 2.0
TAIL: Final = 0.001
# Rare classes: the likelihood of the rows of each class, as their geometric mean, may fall by 2 %.
MAX_CLASS_LOSS_RISE: Final = 0.02
# A version's golden rows, about 32, for manifests without the figures above, and for graphs that were exchanged since.
# One row in 1,000 may exceed `MAX_CHANGE_Q999`, so nearly never one of 32; single ratios spread further.
MAX_GOLDEN_RATIO: Final = 4.0
_ROUNDED_ONE: Final = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Probabilities:
    """How the probabilities of an int8 graph compare with those of the fp32 graph."""

    ece_fp32: float
    """The expected calibration error of the fp32 graph."""
    ece_int8: float
    change_q999: float
    """What the largest change of a probability in a row stays below in 99.9 % of the rows."""
    ratio_q999: float
    """The same of the largest ratio of the two graphs' probabilities, where one of them is 0.001 or more."""
    class_share_fp32: tuple[float, ...]
    """The mean probability of each class in fp32."""
    class_share_int8: tuple[float, ...]
    class_loss_fp32: tuple[float, ...]
    """The mean log-loss of the rows of each class in fp32; 0 for a class without rows."""
    class_loss_int8: tuple[float, ...]

    def is_consistent(self, classes: int) -> bool:
        """Whether the figures are possible for this number of ``classes``."""
        shares, losses = (self.class_share_fp32, self.class_share_int8), (self.class_loss_fp32, self.class_loss_int8)
        fractions = (self.ece_fp32, self.ece_int8, self.change_q999, *shares[0], *shares[1])
        return (
            all(len(each) == classes for each in (*shares, *losses))
            and all(0 <= each <= _ROUNDED_ONE for each in fractions)
            and all(math.isfinite(each) and each >= 0 for each in (self.ratio_q999, *losses[0], *losses[1]))
        )

    def faults(self, labels: Sequence[str]) -> Iterator[str]:
        """Each limit that the int8 graph's probabilities exceed, as a clause."""
        if self.ece_int8 - self.ece_fp32 > MAX_ECE_RISE:
            yield (
                f"its calibration error is {self.ece_int8:.4f} beside {self.ece_fp32:.4f} in fp32, and may rise by "
                f"{MAX_ECE_RISE:g} at most"
            )
        if self.change_q999 > MAX_CHANGE_Q999:
            yield (
                f"it changes a probability by {self.change_q999:.3g} or more in 1 of 1,000 rows, and may change it by "
                f"{MAX_CHANGE_Q999:g} there"
            )
        if self.ratio_q999 > MAX_RATIO_Q999:
            yield (
                f"it changes a probability of {TAIL:g} or more by a factor of {self.ratio_q999:.3g} or more in 1 of "
                f"1,000 rows, and may change it by a factor of {MAX_RATIO_Q999:g} there"
            )
        for label, before, after in zip(labels, self.class_share_fp32, self.class_share_int8, strict=True):
            if abs(after - before) > MAX_CLASS_SHARE_CHANGE * before:
                yield (
                    f"its mean probability of {label!r:.60} is {after:.4g} beside {before:.4g} in fp32, and may differ "
                    f"by {MAX_CLASS_SHARE_CHANGE:.0%} of that at most"
                )
        for label, before, after in zip(labels, self.class_loss_fp32, self.class_loss_int8, strict=True):
            if after - before > MAX_CLASS_LOSS_RISE:
                yield (
                    f"the log-loss of the rows of {label!r:.60} is {after:.4g} beside {before:.4g} in fp32, and may be "
                    f"{MAX_CLASS_LOSS_RISE:g} higher at most"
                )


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
    probabilities: Probabilities | None = None
    """Null if it was not measured, as before these limits."""

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
            and (self.probabilities is None or self.probabilities.is_consistent(classes))
        )

    def fault(self, labels: Sequence[str]) -> str | None:
        """Why the int8 graph is not as good, as a clause; None if it is. ``labels`` are the names of the classes."""
        return next(self._faults(labels), None)

    def _faults(self, labels: Sequence[str]) -> Iterator[str]:
        if self.rows < MIN_ROWS:
            yield f"it was compared with fp32 on {self.rows:,} rows, and {MIN_ROWS:,} are needed"
        if self.log_loss_rise > MAX_LOG_LOSS_RISE:
            yield (
                f"its log-loss is {self.log_loss_int8:.4g} beside {self.log_loss_fp32:.4g} in fp32, and may rise by "
                f"{MAX_LOG_LOSS_RISE:.0%} at most"
            )
        if self.accuracy_loss > MAX_ACCURACY_LOSS:
            yield f"its accuracy is {self.accuracy_loss:.2%} lower, and may be {MAX_ACCURACY_LOSS:.1%} lower at most"
        changed = self.labels_changed / self.rows
        if changed > MAX_LABELS_CHANGED:
            yield f"it changes {changed:.2%} of the labels, and may change {MAX_LABELS_CHANGED:.1%} at most"
        for label, fall, lost, won in zip(labels, self.recall_falls, self.class_lost, self.class_won, strict=True):
            if fall > MAX_RECALL_FALL or _sign_test(lost, won) < SIGNIFICANCE / len(labels):
                yield f"the recall of {label!r:.60} falls by {fall:.2%} ({lost} rows lost, {won} won)"
        if self.max_probability_change > MAX_CHANGE:
            yield (
                f"it changes a probability by {self.max_probability_change:.3f} in one row, and may change none by "
                f"more than {MAX_CHANGE:g}"
            )
        if self.probabilities is not None:
            yield from self.probabilities.faults(labels)


def golden_fault(change: float, ratio: float) -> str | None:
    """Why an int8 graph is not as good by a version's golden rows, as a clause; None if it is.

    ``change`` is the largest change of a probability between the graphs, and ``ratio`` the largest ratio of two of
    `TAIL` or more.
    """
    if not change <= MAX_CHANGE_Q999:
        return (
            f"it changes a probability of a golden row by {change:.2g}, and may change none by more than "
            f"{MAX_CHANGE_Q999:g}"
        )
    if not ratio <= MAX_GOLDEN_RATIO:
        return (
            f"it changes a probability of a golden row by a factor of {ratio:.2g}, and may change none of {TAIL:g} or "
            f"more by a factor beyond {MAX_GOLDEN_RATIO:g}"
        )
    return None


def _sign_test(lost: int, won: int) -> float:
    """The exact probability of ``lost`` or more losses among the changed rows if wins are equally likely."""
    changed = lost + won
    ways: int = sum(math.comb(changed, each) for each in range(lost, changed + 1))
    return ways / (1 << changed)
