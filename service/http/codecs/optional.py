"""Packages that the server does without where they are not installed: there are no wheels of them for every Python."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


simdjson: Final = _installed("simdjson")
