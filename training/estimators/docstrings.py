"""Document what a class inherits: the Parameters and Attributes of its bases join those of its own docstring."""

from __future__ import annotations

import inspect
import re
from typing import Final, TypeVar

Class = TypeVar("Class", bound=type)

_SECTION: Final = r"(?<=\n{title}\n{line}\n).*?(?=\n\n[^\n]+\n---|\Z)"


def entries(docstring: str, title: str) -> dict[str, str]:
    """Return the entries of a numpydoc section such as Parameters, by name; empty if there is no such section."""
    section = re.search(_pattern(title), inspect.cleandoc(docstring), re.DOTALL)
    found = re.split(r"\n+(?=\S)", section[0]) if section else []
    return {entry.split(" : ")[0]: entry for entry in found}


def inherit_sections(cls: Class) -> Class:
    """Add the entries that only the docstrings of the bases have: parameters in signature order, attributes by name."""
    if cls.__doc__ is None:  # python -OO
        return cls
    parameters, attributes = (
        {
            name: entry
            for base in reversed(cls.__mro__)
            for name, entry in entries(vars(base).get("__doc__") or "", title).items()
        }
        for title in ("Parameters", "Attributes")
    )
    docstring = inspect.cleandoc(cls.__doc__)
    docstring = _replace(docstring, "Parameters", [parameters[name] for name in inspect.signature(cls).parameters])
    cls.__doc__ = _replace(docstring, "Attributes", [attributes[name] for name in sorted(attributes)]) + "\n"
    return cls


def _replace(docstring: str, title: str, section: list[str]) -> str:
    return re.sub(_pattern(title), lambda _: "\n".join(section), docstring, flags=re.DOTALL)


def _pattern(title: str) -> str:
    return _SECTION.format(title=title, line="-" * len(title))
