"""Messages of errors that a call must raise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from service.errors import RequestError
from service.manifest import ArtifactError


def error_message(error: type[Exception], call: Callable[..., object], *arguments: object, **options: object) -> str:
    """The message of the ``error`` that ``call(*arguments, **options)`` raises."""
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return str(caught.value)


artifact_error = partial(error_message, ArtifactError)
request_error = partial(error_message, RequestError)
