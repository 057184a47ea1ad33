"""What the texts of a CSV column are: numbers, booleans or texts, and which of them stand for a missing value.

The rules are those by which the server reads a client's cells; here Arrow applies them to whole columns.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from service.cells import BLANKS, BOOLEANS, MARKS, NUMBER_MAX_LETTERS, THOUSANDS, Cells, number_of, number_pattern
from training.data.tables import columns

# What means a missing value more often than not; where texts stand it is a text all the same, and the user is told.
SUSPECTS: Final = frozenset((*MARKS, "unknown", "Unknown", "UNKNOWN", "missing", "Missing", "N.A.", "n.a."))
_SPACES: Final = "[ \xa0\u2009\u202f]"
_FIRST_ROWS: Final = 1000
_FEW: Final = 5
# 19.118 is nineteen or nineteen thousand, where what has no point is too small to have its thousands parted.
_MAYBE_THOUSANDS: Final = r"[-+]?[1-9][0-9]{0,2}\.[0-9]{3}"
_BELOW_THOUSAND: Final = "[-+]?[0-9]{1,3}"
_AS_TYPED: Final = {"'": '"\'"', " ": "' '"}
_FORMATS: Final = tuple((decimal, mark) for mark in ("", *THOUSANDS) for decimal in ".," if decimal != mark)


@dataclass(frozen=True, slots=True)
class Understood:
    """A column's values in their type, null where they are missing, and what the user is to be told of it.

    ``missing`` counts the texts that were taken for a missing value. ``faults`` say why the column cannot be taken as
    it is, ``notes`` what may have been understood wrongly.
    """

    array: pa.ChunkedArray
    missing: Mapping[str, int] = field(default_factory=dict)
    faults: Sequence[str] = ()
    notes: Sequence[str] = ()


def as_they_stand(array: pa.ChunkedArray, cells: Cells) -> Understood:
    """Texts without the blanks around them, for categories or labels, whatever they look like."""
    stripped = pc.utf8_trim(array, characters=BLANKS)
    marked = pc.is_in(stripped, value_set=pa.array(["", *cells.missing_texts]))
    return Understood(pc.if_else(marked, None, stripped), _counts(stripped.filter(marked)))


def by_their_looks(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str, *, decimal_known: bool) -> Understood:
    """Numbers or booleans if all texts of column ``name`` are that do not stand for a missing value; else texts.

    Unless it is ``decimal_known`` that a point begins a fraction, 19.118 beside 999 is a fault. ``remedy`` is the
    option that takes the texts as they stand.
    """
    stripped = pc.utf8_trim(array, characters=BLANKS)
    known = pc.if_else(pc.is_in(stripped, value_set=pa.array(["", *cells.missing_numbers])), None, stripped)
    faults: list[str] = []
    notes: list[str] = []
    values = _booleans(known)
    if values is None:
        values = _numbers(known, cells)
        if values is None:
            return _texts(name, array, cells, remedy)
        if not decimal_known:
            faults, notes = _doubts(name, known)
        notes += _leading_zeros(name, known, remedy)
        values = columns.as_integers(without_sentinels(values, cells))
    return Understood(values, _counts(stripped.filter(values.is_null())), faults, notes)


def of_their_type(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str) -> Understood:
    """Texts of a file that says so: none of them is a number, and the user is told where they look like it."""
    found = _texts(name, array, cells, remedy)
    marked = pc.is_in(found.array, value_set=pa.array(cells.missing_numbers, pa.string()))
    known = found.array.filter(pc.invert(marked)).drop_null()
    if not len(known) or _numbers(known, cells) is None:
        return found
    note = f"column {name!r} has texts in the file that look like numbers; they are taken for categories"
    return Understood(found.array, found.missing, found.faults, [note])


def without_sentinels(values: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Numbers, null where one stands for a missing value, as -999 may."""
    if not cells.sentinels:
        return values
    numbers = values if pa.types.is_floating(values.type) else values.cast(pa.float64(), safe=False)
    marks = pa.array(sorted(cells.sentinels), pa.float64()).cast(numbers.type, safe=False)
    return pc.if_else(pc.is_in(numbers, value_set=marks), None, values)


def are_labels(found: Understood, standing: Understood, *, asked: bool) -> bool:
    """Whether a target that looks as ``found`` has its texts, as they are ``standing``, for labels.

    Asked for classes, unless they are whole numbers or booleans, of which each has one text, and nothing else. Not
    asked, where whole numbers begin with zeros, as codes do, and each stands often enough for a class.
    """
    if columns.is_text(found.array):
        return asked
    exact = pa.types.is_boolean(found.array.type) or columns.is_whole(found.array)
    coded = _first_with_zero(standing.array.drop_null()) is not None
    if asked:
        return not exact or coded or found.array.null_count != standing.array.null_count
    return exact and coded and pc.count_distinct(standing.array).as_py() <= len(standing.array) // 3


def suspects_in(array: pa.ChunkedArray) -> dict[str, int]:
    """Texts among ``array`` that mean a missing value more often than not, with their counts."""
    return _counts(array.filter(pc.is_in(array, value_set=pa.array(sorted(SUSPECTS)))))


def shown(counts: Mapping[str, int]) -> str:
    """Texts and how often each stands, such as ``'' 9, 'NA' 3``."""
    return ", ".join(f"{text!r:.60} {count:,}" for text, count in counts.items())


def _texts(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str) -> Understood:
    standing = as_they_stand(array, cells)
    fault = _slip_of_the_pen(name, standing.array, cells, remedy)
    return Understood(standing.array, standing.missing, [] if fault is None else [fault])


def _booleans(known: pa.ChunkedArray) -> pa.ChunkedArray | None:
    head = known.slice(0, _FIRST_ROWS)
    words = pa.array(BOOLEANS)
    for part in (head, known):
        if not pc.all(pc.if_else(part.is_null(), None, pc.is_in(part, value_set=words))).as_py():
            return None
    if not pc.any(pc.is_in(known, value_set=pa.array([word for word in BOOLEANS if not word.isdigit()]))).as_py():
        return None
    return pc.if_else(known.is_null(), None, pc.is_in(known, value_set=pa.array([w for w in BOOLEANS if BOOLEANS[w]])))


def _numbers(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray | None:
    """The numbers float64 that the texts are, null where they are; None unless all of them are numbers."""
    pattern = number_pattern(cells.decimal, cells.thousands)
    if not _all_match(known.slice(0, _FIRST_ROWS), pattern):
        return None
    if (pc.max(pc.binary_length(known)).as_py() or 0) > NUMBER_MAX_LETTERS:
        return None
    if (cells.decimal, cells.thousands) != (".", ""):
        if not _all_match(known, pattern):
            return None
        if cells.thousands:
            parted = _SPACES if cells.thousands == " " else cells.thousands
            replace = pc.replace_substring_regex if cells.thousands == " " else pc.replace_substring
            known = replace(known, parted, "")
        known = pc.replace_substring(known, cells.decimal, ".")
    try:
        values = known.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.is_nan(values)).as_py() else values  # Arrow takes nan, in any case, for a number


def _doubts(name: str, known: pa.ChunkedArray) -> tuple[list[str], list[str]]:
    """A fault, or a note, where a point may part thousands: all that have one have three digits after it."""
    both = f"{_MAYBE_THOUSANDS}|{_BELOW_THOUSAND}"
    if not (_all_match(known.slice(0, _FIRST_ROWS), both) and _all_match(known, both)):
        return [], []
    pointed = known.filter(pc.match_substring(known, "."))
    if not len(pointed):
        return [], []
    first = pointed[0].as_py()
    parted = f"say --thousands . where the point parts thousands, so that it is {first.replace('.', '')}"
    if len(pointed) == len(known) - known.null_count:
        return [], [
            f"column {name!r} has a point and three digits in each value, such as {first}, which is taken for a "
            f"fraction; {parted}"
        ]
    plain = known.filter(pc.invert(pc.match_substring(known, ".")))[0].as_py()
    return [
        f"column {name!r} has {first} beside {plain}, and nothing tells whether its point parts thousands or begins a "
        f"fraction; {parted}, or --decimal . where it begins a fraction"
    ], []


def _leading_zeros(name: str, known: pa.ChunkedArray, remedy: str) -> list[str]:
    first = _first_with_zero(known)
    if first is None:
        return []
    return [
        f"column {name!r} has numbers that begin with a zero, such as {first}, as codes do; they are taken for "
        f"numbers, unless you say {remedy}"
    ]


def _first_with_zero(known: pa.ChunkedArray) -> str | None:
    zeros = known.filter(pc.starts_with(known, "0"))
    codes = zeros.filter(pc.match_substring_regex(zeros, "^0[0-9]+$"))
    first: str | None = codes[0].as_py() if len(codes) else None
    return first


def _slip_of_the_pen(name: str, texts: pa.ChunkedArray, cells: Cells, remedy: str) -> str | None:
    """Why texts of which most look like numbers cannot be taken for numbers; None where not so many do."""
    found = pc.value_counts(texts.drop_null())
    values, times = found.field("values"), found.field("counts")
    known = pc.invert(pc.is_in(values, value_set=pa.array(cells.missing_numbers, pa.string())))
    alike = pc.and_(known, columns.number_like(values))
    if (pc.sum(times.filter(alike)).as_py() or 0) * 2 <= (pc.sum(times.filter(known)).as_py() or 0):
        return None
    like, distinct = set(values.filter(alike).to_pylist()), values.filter(known).to_pylist()
    odd = [text for text in distinct if number_of(text, cells.decimal, cells.thousands) is None]
    if not odd:
        return None
    row = pc.index(pc.is_in(texts, value_set=pa.array(odd, pa.string())), True).as_py()
    text = texts[row].as_py()
    ways = ["write it as a plain number such as 1200 or 3.14", "leave it empty"]
    others = [each for each in odd if each not in like]
    if others and len(others) <= _FEW:
        marks = values.filter(pc.invert(known)).to_pylist()
        ways.append(f"take it for missing with --missing {shlex.join([*marks, *others])}")
    if text in like:
        ways += _formats(text, [each for each in distinct if each not in others])
    return (
        f"column {name!r} has the text {text!r:.60} in row {row + 1} below the header, and most of its values look "
        f"like numbers; {', '.join(ways)}, or take the column's values for categories with {remedy}"
    )


def _formats(text: str, texts: Sequence[str]) -> list[str]:
    """The options by which all ``texts`` are numbers, with what ``text`` is then: the simplest for each number."""
    ways: dict[float, str] = {}
    for decimal, thousands in _FORMATS:
        numbers = [number_of(each, decimal, thousands) for each in (text, *texts)]
        if numbers[0] is not None and None not in numbers:
            said = [f"--decimal {decimal}"] if decimal != "." or not thousands else []
            said += [f"--thousands {_AS_TYPED.get(thousands, thousands)}"] if thousands else []
            ways.setdefault(numbers[0], " ".join(said))
    return [f"say {said} to read it as {number:.15g}" for number, said in ways.items()]


def _all_match(texts: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, f"^(?:{pattern})$"), min_count=0).as_py())


def _counts(texts: pa.ChunkedArray) -> dict[str, int]:
    """How often each text stands, the most frequent first; nulls are none."""
    pairs = [(pair["values"], pair["counts"]) for pair in pc.value_counts(texts).to_pylist()]
    return {text: count for text, count in sorted(pairs, key=lambda pair: -pair[1]) if text is not None}
