"""What a key is: 256 random bits as text, of which the server knows the SHA-256 digest alone.

A slow hash with a salt, such as scrypt, makes guesses of passwords expensive. Nobody guesses 256 random bits, so one
fast hash is as safe, and costs a request less than a microsecond. Every key has the same form, so that none can be a
word that a person chose.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

PREFIX: Final = "mlp_"  # programs that search code for secrets find it
_RANDOM_BYTES: Final = 32
KEY_BYTES: Final = len(PREFIX) + 43  # base64 of 32 bytes, without padding


def new() -> str:
    """A new key, of letters, digits, ``_`` and ``-``."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(key: bytes) -> bytes:
    """The SHA-256 digest of a key, 32 bytes."""
    return hashlib.sha256(key).digest()
