"""The message for a published model that is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.manifest import ArtifactError


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The message of the `ArtifactError` that ``call`` raises."""
    with pytest.raises(ArtifactError) as caught:
        call(*arguments)
    return str(caught.value)
