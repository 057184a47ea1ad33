"""The message of a loader that rejects its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import pytest

from training.errors import DataError, OptionError

P = ParamSpec("P")


def message_of(load: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> str:
    """Return the message of the `DataError` or `OptionError` that ``load`` raises."""
    with pytest.raises((DataError, OptionError)) as caught:
        load(*arguments, **options)
    return str(caught.value)
