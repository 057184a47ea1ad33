"""The numbers of a JSON text that is one regular array: nested lists of numbers, all those of a level as long.

They never become Python objects. `array` uses the compiled reader where the package was built with it, see
`hatch_build.py`, and otherwise simdjson; both give the same bits. Without either, the parser of other documents reads
these, too, and takes longer.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.http.codecs.optional import simdjson

# The keys of rows: ours, TensorFlow Serving's and MLflow's; and MLflow's for a table in orient="split".
KEYS: Final = ("inputs", "instances", "dataframe_records")
SPLIT: Final = "dataframe_split"
LIBRARY: Final = Path(__file__).with_name("libregular_json.so")

# Texts with more are left to simdjson.
_MOST_NUMBERS: Final = 128 * 1024
_MOST_LEVELS: Final = 8  # as in regular_json.c

Read = Callable[[bytes], NDArray[np.float64] | None]


def by_simdjson(text: bytes) -> NDArray[np.float64] | None:
    """The same as `array`, by simdjson. The array may also be the value of one of `KEYS` beside other keys.

    None for all texts if simdjson is not installed.
    """
    if simdjson is None:
        return None
    try:
        document: Any = simdjson.Parser().parse(text)
        if isinstance(document, simdjson.Object):
            keys = list(document)
            (key,) = [key for key in keys if key in KEYS]
            if len(keys) > 1 and (len(set(keys)) < len(keys) or SPLIT in keys):
                return None
            document = document[key]
        shape = _shape(document)
        # as_buffer flattens, so a row of 783 numbers followed by one of 785 would pass without a check that each array
        # has its length, and that there are no others.
        arrays = _arrays_in(shape)
        if not _opens(text, arrays) or (arrays > len(shape) and not _is_regular(document, shape)):
            return None
        return np.frombuffer(document.as_buffer(of_type="d")).reshape(shape)
    except (ValueError, TypeError, RuntimeError, IndexError, AttributeError):
        return None


class _Memory(threading.local):
    """What the compiled reader writes to, in each thread: numbers, and the lengths of the levels."""

    def __init__(self) -> None:
        self.numbers = np.empty(_MOST_NUMBERS)
        self.at = self.numbers.ctypes.data
        self.lengths = (ctypes.c_int64 * _MOST_LEVELS)()


def compiled(library: Path) -> Read:
    """The same as `array`, by the compiled reader in ``library``.

    Raises `OSError` if it cannot be loaded, and `AttributeError` if it is another library.
    """
    # Not CDLL: to let other threads run and wait for them would take longer than most texts do.
    read = ctypes.PyDLL(str(library)).read_regular_json
    read.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    read.restype = ctypes.c_int64
    memory = _Memory()

    def array(text: bytes) -> NDArray[np.float64] | None:
        lengths = memory.lengths
        levels = read(text, len(text), memory.at, _MOST_NUMBERS, lengths)
        if levels == 0:
            return None
        shape = lengths[:levels]
        return memory.numbers[: math.prod(shape)].reshape(shape).copy()

    return array


def _shape(array: Any) -> tuple[int, ...]:
    lengths = []
    while isinstance(array, simdjson.Array):
        lengths.append(len(array))
        array = array[0]
    return tuple(lengths)


def _opens(text: bytes, arrays: int) -> bool:
    """Whether a JSON text has exactly ``arrays`` opening brackets."""
    # For long rows, find is several times as fast as count, which goes byte by byte.
    at = -1
    for _ in range(arrays):
        at = text.find(b"[", at + 1)
        if at < 0:
            return False
    return text.find(b"[", at + 1) < 0


def _arrays_in(shape: tuple[int, ...]) -> int:
    arrays = here = 1
    for length in shape[:-1]:
        here *= length
        arrays += here
    return arrays


def _is_regular(array: Any, shape: tuple[int, ...]) -> bool:
    if len(array) != shape[0]:
        return False
    inner = shape[1:]
    if len(inner) == 1:
        return {len(each) for each in array} == {inner[0]}
    return not inner or all(_is_regular(each, inner) for each in array)


def fastest(library: Path) -> Read:
    """What reads `array`: the compiled reader and, for what that leaves out, simdjson; or only that."""
    try:
        by_library = compiled(library)
    except (OSError, AttributeError):  # it is not there, of another platform, or of an earlier version
        return by_simdjson

    def array(text: bytes) -> NDArray[np.float64] | None:
        found = by_library(text)
        return by_simdjson(text) if found is None else found

    return array


# Takes a JSON text: a list, or an object whose one value of `KEYS` is one. Returns its numbers as float64, in the shape
# of the list; None if the text is anything else, or no JSON.
array: Final = fastest(LIBRARY)
READ_BY: Final = "compiled code" if array is not by_simdjson else "simdjson" if simdjson else "orjson"
