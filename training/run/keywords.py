"""Rewrite messages that name command-line options for callers of Python: ``--drop id`` becomes ``drop=['id']``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from typing import Final

_WORD: Final = r"""(?:'[^']*'|"[^"]*"|[^\s,;:()'"])+"""
# Words of a sentence that follow an option without a value.
_PROSE: Final = ("and", "or", "to", "is", "are", "has", "with", "until", "both", "if", "but", "which")
_NUMBERS: Final = ("hidden",)  # takes several numbers
_VALUES: Final = rf"(?: (?!(?:{'|'.join(_PROSE)})\b)(?!--){_WORD})"


def in_python(message: str, lists: Collection[str]) -> str:
    """Return ``message`` with keyword arguments in place of command-line options.

    ``lists`` are the options that take several strings, by their name in Python.
    """
    message = re.sub("^the command has", "the call has", message)
    message = re.sub(r"--(decimal|thousands) (?:'(.)'|(\S))(?=\W|$)", _mark, message)
    return re.sub(rf"--([a-z0-9]+(?:-[a-z0-9]+)*)({_VALUES}*)", lambda match: _keyword(match, lists), message)


def _mark(match: re.Match[str]) -> str:
    return f"{match[1]}={(match[2] or match[3])!r}"


def _keyword(match: re.Match[str], lists: Collection[str]) -> str:
    name = match[1].replace("-", "_")
    written = re.findall(_VALUES, match[2])
    if not written:
        return name
    values = [shlex.split(each)[0] for each in written]
    if name in _NUMBERS:
        return f"{name}=({', '.join(values)})"
    if name in lists:
        return f"{name}={values}"
    return f"{name}={values[0]!r}{''.join(written[1:])}"
