"""Keys for tests, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from service.keys import api_key
from service.keys.key_file import Key


class Made(NamedTuple):
    """A key and its line."""

    secret: str
    key: Key

    @property
    def bearer(self) -> str:
        return f"authorization: Bearer {self.secret}"


def make(name: str = "web", **limits: float) -> Made:
    secret = api_key.new()
    return Made(secret, Key(name, api_key.digest(secret.encode()), **limits))


def write(path: Path, *made: Made) -> Path:
    """A file with these keys, swapped in at once."""
    new = path.with_suffix(".new")
    new.write_text("# keys\n\n" + "".join(f"{each.key.line()}\n" for each in made))
    return new.rename(path)
