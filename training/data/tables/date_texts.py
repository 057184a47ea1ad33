"""Read texts as dates or times: what `service.dates` does with one text, for all texts of a column at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.dates import FIRST_DAY, FIRST_YEAR, LAST_DAY, MAX_LETTERS, MONTHS, NANOSECONDS, PATTERNS, DateFormat


def days_of(strings: pa.ChunkedArray, form: DateFormat) -> NDArray[np.float64]:
    """Return the days of ``strings``, NaN where they are null or no date."""
    encoded = pc.dictionary_encode(strings).combine_chunks()
    days = np.append(days_of_distinct(encoded.dictionary, form), np.nan)
    found: NDArray[np.float64] = days[encoded.indices.fill_null(len(days) - 1).to_numpy()]
    return found


def days_of_distinct(strings: pa.Array, form: DateFormat) -> NDArray[np.float64]:
    """Return what `service.dates.days_of` gives for each of ``strings``, NaN for None."""
    days = np.full(len(strings), np.nan)
    left = np.flatnonzero(pc.less_equal(pc.utf8_length(strings), MAX_LETTERS).to_numpy(zero_copy_only=False))
    for pattern in PATTERNS[form]:
        parts = pc.extract_regex(strings.take(pa.array(left)), f"(?i)^(?:{pattern})$")
        matched = parts.is_valid().to_numpy(zero_copy_only=False)
        days[left[matched]] = _Parts(parts.drop_null()).days(form)
        left = left[~matched]
        if not len(left):
            break
    return days


class _Parts:
    """The groups of a pattern for the texts that it matches, as numbers."""

    def __init__(self, parts: pa.StructArray) -> None:
        self._parts = parts
        self._names = {parts.type.field(index).name for index in range(parts.type.num_fields)}

    def days(self, form: DateFormat) -> NDArray[np.float64]:
        """Return days since 1970-01-01, or the share of the day; NaN where the parts are none."""
        nanoseconds = self._nanoseconds() if "hour" in self._names else np.zeros(len(self._parts), np.int64)
        passed, rest = np.divmod(np.nan_to_num(nanoseconds).astype(np.int64), NANOSECONDS)
        wrong = np.isnan(nanoseconds)
        if form == "time":
            return np.where(wrong, np.nan, rest / NANOSECONDS)
        year, month = self._year(), self._month()
        day = self._number("day", 1) if "day" in self._names else np.ones(len(year), np.int64)
        wrong |= (year < 1) | (month < 1) | (month > 12)
        months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
        first, after = (
            each.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for each in (months, months + 1)
        )
        wrong |= (day < 1) | (day > after - first)
        found = first + day - 1 + passed
        wrong |= (found < FIRST_DAY) | (found > LAST_DAY)
        return np.where(wrong, np.nan, found + rest / NANOSECONDS)

    def _text(self, name: str) -> pa.Array:
        return pc.utf8_lower(self._parts.field(name))

    def _number(self, name: str, default: int, texts: pa.Array | None = None) -> NDArray[np.int64]:
        texts = self._parts.field(name) if texts is None else texts
        filled = pc.if_else(pc.equal(texts, ""), str(default), texts)
        found: NDArray[np.int64] = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return found

    def _year(self) -> NDArray[np.int64]:
        texts = pc.utf8_ltrim(self._parts.field("year"), characters="'")
        year = self._number("year", 0, texts)
        short = pc.less(pc.utf8_length(texts), 4).to_numpy(zero_copy_only=False)
        century = np.where(year >= FIRST_YEAR % 100, 1900, 2000)
        found: NDArray[np.int64] = year + np.where(short, century, 0)
        return found

    def _month(self) -> NDArray[np.int64]:
        texts = self._text("month")
        named = pc.index_in(pc.utf8_slice_codeunits(texts, 0, 3), value_set=pa.array(MONTHS))
        digits = pc.if_else(pc.match_substring_regex(texts, "^[0-9]+$"), texts, "0")
        numbers = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
        by_name = named.fill_null(-1).to_numpy(zero_copy_only=False) + 1
        found: NDArray[np.int64] = np.where(numbers > 0, numbers, by_name)
        return found

    def _nanoseconds(self) -> NDArray[np.float64]:
        """Return nanoseconds since midnight in UTC, exact in float64; NaN where the clock has no such time."""
        given = pc.not_equal(self._parts.field("hour"), "").to_numpy(zero_copy_only=False)
        hour, minute, second = (self._number(name, 0) for name in ("hour", "minute", "second"))
        half = pc.utf8_slice_codeunits(self._text("half"), 0, 1)
        is_half = pc.not_equal(half, "").to_numpy(zero_copy_only=False)
        bare = pc.equal(self._parts.field("minute"), "").to_numpy(zero_copy_only=False)
        wrong = given & ((~is_half & bare) | (is_half & ((hour < 1) | (hour > 12))))
        afternoon = pc.equal(half, "p").to_numpy(zero_copy_only=False)
        hour = np.where(is_half, hour % 12 + 12 * afternoon, hour)
        hours, minutes, sign = self._offset()
        wrong |= (hour > 23) | (minute > 59) | (second > 59) | (hours > 23) | (minutes > 59)
        fraction = self._number("fraction", 0, pc.utf8_rpad(self._parts.field("fraction"), 9, padding="0"))
        seconds = (hour * 60 + minute - sign * (hours * 60 + minutes)) * 60 + second
        return np.where(wrong, np.nan, seconds * 1_000_000_000 + fraction)

    def _offset(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the hours and minutes of the zone, and its sign; 0 for UTC."""
        zone = self._text("zone")
        sign = pc.utf8_slice_codeunits(zone, 0, 1)
        signed = pc.is_in(sign, value_set=pa.array(["+", "-"]))
        numeric = pc.if_else(signed, pc.replace_substring(zone, ":", ""), "+0000")
        hours = self._number("zone", 0, pc.utf8_slice_codeunits(numeric, 1, 3))
        minutes = self._number("zone", 0, pc.utf8_slice_codeunits(numeric, 3, 5))
        negative = pc.equal(sign, "-").to_numpy(zero_copy_only=False)
        return hours, minutes, np.where(negative, -1, 1)
