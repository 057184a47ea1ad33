"""Keeps pyarrow from importing pandas, if it is installed, to recognise pandas' types: that takes a quarter second."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec


def apply() -> None:
    """Let pyarrow find no pandas. For a process whose rows are never pandas objects: later ones are not recognised.

    pyarrow looks once, when it makes its first array.
    """
    from pyarrow import array  # noqa: PLC0415 - an extra

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        array([0])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas:
    """A finder by which pandas is not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Raise `ModuleNotFoundError` for pandas. All else is left to the other finders."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None
