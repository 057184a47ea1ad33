"""The file of keys: one a line, with its name, the digest of the key and its limits.

    # comment
    web     9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    reports 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 requests_per_s=5 rows_per_s=2000

A message never shows what stands in a line: it could be a key, in the wrong place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from service.errors import StartError
from service.keys import api_key

MAX_KEYS: Final = 1000
MAX_BYTES: Final = 1024**2
# One in 11 days. Of a far smaller one, nobody could tell how long to wait for it.
LEAST_LIMIT: Final = 1e-6
_SHOWN_FAULTS: Final = 5
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_LIMITS: Final = ("requests_per_s", "rows_per_s")


class Key(NamedTuple):
    """One line: ``digest`` is the SHA-256 of the key, 32 bytes; a limit of 0 is none."""

    name: str
    digest: bytes
    requests_per_s: float = 0.0
    rows_per_s: float = 0.0

    def line(self) -> str:
        """The line of the file."""
        values = (self.requests_per_s, self.rows_per_s)
        limits = [f"{name}={value:g}" for name, value in zip(_LIMITS, values, strict=True) if value]
        return " ".join([self.name, self.digest.hex(), *limits])


class KeyFileError(StartError):
    """The file cannot be used. The message says what is wrong in which lines."""


def read(path: Path) -> bytes:
    """The content of the file. Raises `KeyFileError`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}; see --api-keys-file (MLP_API_KEYS_FILE)"
        ) from error
    if len(content) > MAX_BYTES:
        raise KeyFileError(f"{path} has more than {MAX_BYTES} bytes; it should have one short line for each key")
    return content


def parse(content: bytes, path: Path) -> tuple[Key, ...]:
    """The keys of a file. Raises `KeyFileError` with all faults, also if there is no key at all."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path} is not UTF-8 at byte {error.start}; save it as plain text") from error
    keys: list[Key] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            found = _key(words)
            if isinstance(found, str):
                faults.append(f"line {number}: {found}")
            else:
                keys.append(found)
    faults += _repeated(keys)
    if not keys and not faults:
        faults.append("there is no key; make one with python -m service.keys new NAME")
    if len(keys) > MAX_KEYS:
        faults.append(f"there are {len(keys)} keys, expected at most {MAX_KEYS}")
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        shown = "; ".join(faults[:_SHOWN_FAULTS]) + (f"; and {more} more" if more > 0 else "")
        raise KeyFileError(f"{path}: {shown}")
    return tuple(keys)


def valid_name(name: str) -> bool:
    """Whether a key may have that name: 1 to 64 letters, digits, ``.``, ``_`` and ``-``."""
    return _NAME.fullmatch(name) is not None


def limit(text: str) -> float:
    """A limit, at least `LEAST_LIMIT`. Raises `ValueError`."""
    value = float(text)
    if not LEAST_LIMIT <= value < math.inf:
        raise ValueError(f"{text} is below {LEAST_LIMIT:g}")
    return value


def _key(words: list[str]) -> Key | str:
    """The key of a line, or what is wrong with it."""
    if any(word.startswith(api_key.PREFIX) and len(word) == api_key.KEY_BYTES for word in words):
        return "it has a key instead of its digest; whoever reads the file can use that key: make a new one"
    if not valid_name(words[0]):
        return "the first word is no name of up to 64 letters, digits, '.', '_' and '-'"
    if len(words) == 1 or not _DIGEST.fullmatch(words[1]):
        return "the second word is no SHA-256 digest of 64 hexadecimal digits"
    limits: dict[str, float] = {}
    for word in words[2:]:
        name, _, value = word.partition("=")
        if name not in _LIMITS or name in limits:
            return f"after the digest there may be {' and '.join(f'{each}=NUMBER' for each in _LIMITS)}, each once"
        try:
            limits[name] = limit(value)
        except ValueError:
            return f"{name} is no number from {LEAST_LIMIT:g} up"
    return Key(words[0], bytes.fromhex(words[1]), **limits)


def _repeated(keys: list[Key]) -> Iterator[str]:
    names: set[str] = set()
    digests: set[bytes] = set()
    for key in keys:
        if key.name in names:
            yield f"the name {key.name} is there twice"
        if key.digest in digests:
            yield f"the key of {key.name} is there twice"
        names.add(key.name)
        digests.add(key.digest)
