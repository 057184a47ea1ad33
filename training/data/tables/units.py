"""The unit beside the numbers of a column, such as kg: which one they share, and how else it is spelled.

A unit follows the number; only a currency may also precede it. Units that are not in the list here are words in small
letters after a blank: ``12A``, ``3rd`` and ``12 Main Street`` are no quantities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.cells import MINUS, MULTIPLES, NO_CENTS, SPACES, SYMBOLS
from training.data.tables import columns

# Spellings that mean the same, units between semicolons; _ is a blank.
_LISTED: Final = """
$ US$ USD; € EUR; £ GBP; ₹ INR Rs Rs.; zł PLN; Kč CZK; Ft HUF; R$ BRL; ₺ TRY; kr kr.; % percent; pcs pc; pts points;
kg Kg KG kgs Kgs kilogram kilograms; g gr gram grams; mg; µg μg mcg; t ton tons tonne tonnes; oz oz. ounce ounces;
lb lbs lb. lbs. LB LBS pound pounds; nm; µm μm; mm; cm CM cms; m meter meters metre metres; km Km KM kms Kms;
mi mi. mile miles; in in. inch inches " ″; ft ft. foot feet; yd yard yards; ha; acre acres; km2 km²;
m2 m² qm sqm sq_m sq._m. sq.m.; sqft sq_ft sq._ft. sq.ft. ft2 ft² SqFt Sqft; l L liter liters litre litres; ml mL; cl;
dl dL; m3 m³; cm3 cm³ cc CC ccm; gal gallon gallons; ms; µs μs; s sec sec. secs second seconds; dpi; px; MP;
min min. mins minute minutes; h hr hrs hr. hrs. hour hours; d day days; week weeks wk wks; month months mo mos;
year years yr yrs yr. yrs. y yo y/o year_old years_old; Std Std. Stunde Stunden; Tag Tage; Monat Monate; Jahr Jahre;
ans; años; Hz; kHz; MHz; GHz Ghz; kB KB; MB; GB; TB; KiB; MiB; GiB; TiB; kbps; Mbps Mbit/s; Gbps Gbit/s; °C; °F;
° deg degrees; W; kW; MW; Wh; kWh kwh; MWh; V; mV; kV; A; mA; mAh; Ah; Ω; hp HP bhp BHP; PS; Nm; rpm RPM; N; kN; Pa;
hPa; kPa; bar; mbar; psi; dB; mmHg mm_Hg; kcal; kJ; km/h kmh kph km/hr kmph; mph; m/s; mpg; l/100km l/100_km L/100km;
km/l kmpl; g/km; g/l g/L; mg/l mg/L; mg/dl mg/dL; mmol/l mmol/L; ppm; ppb; bpm; kg/m2 kg/m²; kg/m3 kg/m³;
/5 out_of_5 out_of_5_stars; /10 out_of_10; /100 out_of_100
"""
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        spelling: group
        for group in (tuple(each.replace("_", " ") for each in unit.split()) for unit in _LISTED.split(";"))
        for spelling in group
    }
)
_PERCENT: Final = _GROUPS["%"]
_SPACE: Final = f"[{SPACES}]?"
_SIGN: Final = f"[-+{MINUS}]?"
_MINUS: Final = f"(?:{_SPACE}[{NO_CENTS}{MINUS}]{{1,2}})?"
# A number with any text after it that may begin a unit. Classes of letters would take RE2 longer to compile.
_NO_UNIT: Final = r".,:;'#*?!&|_~@^\\()<>=+-"
_WRITTEN: Final = (
    f"^[(]?{_SIGN}(?:(?P<before>{SYMBOLS}){_SPACE})?{_SIGN}{columns.DIGITS}(?:[eE][-+]?[0-9]+)?{_MINUS}"
    rf"(?P<blank>{_SPACE})(?P<after>[^0-9\s{_NO_UNIT}][^\n\r()<>=+-]*)?{_MINUS}[)]?$"
)
_MULTIPLE: Final = re.compile(f"({'|'.join(MULTIPLES)})(?: ?({SYMBOLS}))?")
_CURRENCY: Final = re.compile(SYMBOLS)
_WORDS: Final = re.compile(r"(?:/ ?)?[^\W\d_]{2,}(?: [^\W\d_]+)*")
_NO_WORDS: Final = re.compile(r"(?:st|nd|rd|th|or|and|to)\b")
_FRACTION: Final = "[0-9][.,][0-9]"
_MAX_LETTERS: Final = 24
_SAMPLE: Final = 1000  # of the values; whether the others are like them is found much sooner than what they are
_MAX_KINDS: Final = 200  # different texts beside the numbers; more are names, rather
_MAX_OTHERS: Final = 0.05
_MAX_FACTOR: Final = 2  # of numbers without a unit, beyond those with one


@dataclass(frozen=True, slots=True)
class Kind:
    """What stands beside a number: the spellings of its unit, none without one, and a multiple such as k.

    Of a unit that is not ``listed``, nothing is known but its name.
    """

    unit: tuple[str, ...] = ()
    multiple: str = ""
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """The unit in which the values of a column are to be read, none if they have none.

    ``numeric`` says which values are numbers in this unit or without one, and ``bare`` which have none (values,).
    ``several`` are values in different units if no unit has nearly all, else empty.
    """

    unit: tuple[str, ...]
    numeric: NDArray[np.bool_]
    bare: NDArray[np.bool_]
    multiples: bool = False
    several: tuple[str, ...] = ()

    @property
    def is_share(self) -> bool:
        """Whether the unit is a percent sign."""
        return self.unit == _PERCENT

    @property
    def may_misfit(self) -> bool:
        """Whether there are numbers without a unit beside those with one that is no currency."""
        return bool(self.unit) and not _is_currency(self.unit) and bool((self.bare & self.numeric).any())

    def misfits(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of the ``numbers``, those of the values that are `numeric`, are hardly in the unit.

        They have none, and are much smaller or larger than all that have one, as 0.5 beside 20% and 500 beside 2 GB.
        """
        bare = self.bare[self.numeric]
        if bare.all():
            return np.zeros(len(numbers), np.bool_)
        sizes = np.abs(numbers)
        lowest, highest = sizes[~bare].min() / _MAX_FACTOR, sizes[~bare].max() * _MAX_FACTOR
        inside = (lowest <= sizes) & (sizes <= highest) & (sizes > self.is_share)
        found: NDArray[np.bool_] = bare & ~inside & (numbers != 0)
        return found


def look_numeric(strings: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return for each string whether it may be a number with a unit or without."""
    return pc.match_substring_regex(strings, _WRITTEN)


def is_unit(text: str) -> bool:
    """Return whether ``text`` is a listed unit, perhaps in brackets; not a single letter, which may be anything."""
    return text.strip("[]()") in _GROUPS and (len(text) > 1 or not text.isalpha())


def choose(values: pa.Array, times: NDArray[np.int64], *, few: bool, forced: bool) -> Choice:
    """Return the unit of a column with these different ``values``, each of which occurs some ``times``.

    Of ``few`` values with an unknown unit, as 2 doors and 4 doors, none are numbers. If it is ``forced`` to be one of
    numbers, those in the most frequent of several units are.
    """
    if len(values) > _SAMPLE:
        first = _choose(values[:_SAMPLE], times[:_SAMPLE], few=few, forced=forced)
        if first.numeric.all() and _all_have(values, first):
            return replace(first, numeric=np.ones(len(values), np.bool_), bare=np.zeros(len(values), np.bool_))
    return _choose(values, times, few=few, forced=forced)


def _all_have(values: pa.Array, choice: Choice) -> bool:
    """Return whether all are numbers with the unit of ``choice``, or with its currency or without."""
    if not choice.unit or choice.several:
        return False
    unit = f"{_SPACE}(?:{'|'.join(map(re.escape, choice.unit))})"
    before, after = (f"(?:{unit})?{_SPACE}", f"(?:{unit})?") if _is_currency(choice.unit) else ("", unit)
    multiple = f"(?:{_SPACE}(?:{'|'.join(MULTIPLES)}))?" if choice.multiples else ""
    number = f"{columns.DIGITS}(?:[eE][-+]?[0-9]+)?"
    pattern = f"^[(]?{_SIGN}{before}{_SIGN}{number}{_MINUS}{multiple}{after}{_MINUS}[)]?$"
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _choose(values: pa.Array, times: NDArray[np.int64], *, few: bool, forced: bool) -> Choice:
    kinds, codes = _kinds(values)
    fractions = pc.match_substring_regex(values, _FRACTION).to_numpy(zero_copy_only=False)
    with_multiple = _among(codes, [bool(kind.multiple) for kind in kinds])
    # 12K and 7M are codes, but 1.2k, €500K and 3 million are not.
    plain = [bool(kind.multiple) and (bool(kind.unit) or len(kind.multiple) > 1) for kind in kinds]
    multiples = bool((with_multiple & (_among(codes, plain) | fractions)).any())
    numbers = codes >= 0 if multiples else (codes >= 0) & ~with_multiple
    bare = numbers & _among(codes, [not kind.unit for kind in kinds])
    units: dict[tuple[str, ...], int] = {}
    for code, kind in enumerate(kinds):
        if kind.unit and (count := int(times[numbers & (codes == code)].sum())):
            units[kind.unit] = units.get(kind.unit, 0) + count
    without = Choice((), bare, bare, multiples)
    if not units:
        return without
    unit, total = max(units, key=lambda each: units[each]), sum(units.values())
    listed = all(kind.listed for kind in kinds if kind.unit in units)
    rare = total <= _MAX_OTHERS * times[numbers].sum() and not _is_currency(unit)
    if rare or (not listed and (few or len(units) > 1 or bare.any())):
        return without
    own = _among(codes, [kind.unit == unit for kind in kinds])
    if units[unit] < (1 - _MAX_OTHERS) * total and not forced:
        odd = numbers & ~own & ~bare
        several = tuple(values[int(np.argmax(each))].as_py() for each in (numbers & own, odd))
        return Choice(unit, numbers, bare, multiples, several)
    return Choice(unit, numbers & (own | bare), bare, multiples)


def _kinds(values: pa.Array) -> tuple[list[Kind], NDArray[np.int64]]:
    """Return the different kinds of numbers among ``values``, and the index of each value's, -1 for no number."""
    parts = pc.extract_regex(values, _WRITTEN)
    fields = [pc.struct_field(parts, name) for name in ("before", "blank", "after")]
    encoded = pc.dictionary_encode(pc.binary_join_element_wise(*fields, "\n"))
    texts = encoded.dictionary.to_pylist()
    if len(texts) > _MAX_KINDS:
        return [], np.full(len(values), -1)
    found = [_kind(*text.split("\n")) for text in texts]
    kinds = list(dict.fromkeys(kind for kind in found if kind is not None))
    places = np.array([*(-1 if kind is None else kinds.index(kind) for kind in found), -1])
    codes: NDArray[np.int64] = places[encoded.indices.fill_null(len(texts)).to_numpy()]
    return kinds, codes


def _kind(before: str, blank: str, after: str) -> Kind | None:
    """Return the kind of a number with a currency ``before`` it, and a text ``after`` it and a ``blank``; or None."""
    after = re.sub(f"[{SPACES}]+", " ", after)
    currency = _GROUPS.get(before, (before,) if before else ())
    if not after:
        return Kind(currency)
    if after in _GROUPS and (blank or len(after) > 1 or not after.isupper()):
        unit = _GROUPS[after]
        return Kind(currency if unit == currency else (*currency, *unit))
    if match := _MULTIPLE.fullmatch(after):
        unit = _GROUPS.get(match[2], (match[2],)) if match[2] else ()
        return Kind(currency or unit, match[1])
    if _CURRENCY.fullmatch(after):
        return Kind((*currency, after))
    if not (currency or (blank and after[0].islower())) or not _are_words(after):
        return None
    stem = after.removesuffix("s")
    return Kind((*currency, stem, f"{stem}s"), listed=bool(currency))


def _are_words(text: str) -> bool:
    """Return whether a text may be an unlisted unit, unlike ``th`` and ``or more``."""
    return len(text) <= _MAX_LETTERS and not _NO_WORDS.match(text) and _WORDS.fullmatch(text) is not None


def _is_currency(unit: tuple[str, ...]) -> bool:
    return _CURRENCY.fullmatch(unit[0]) is not None


def _among(codes: NDArray[np.int64], chosen: list[bool]) -> NDArray[np.bool_]:
    """Return which of the ``codes`` are those of ``chosen`` kinds; -1 is none of them."""
    found: NDArray[np.bool_] = np.array([*chosen, False])[codes]
    return found
