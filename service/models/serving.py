"""Which version a server would serve: the pinned one, or the newest that proves itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.models.command import Context

# What changes a running server, for messages.
WHEN: Final = "within their --reload-interval-s (default 5 s; with 0 when they restart)"


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that would be served, None if every one is refused, and why newer ones are ``refused``."""

    version: int | None
    refused: dict[int, str]


def find(model_dir: Path, versions: Sequence[int], context: Context) -> Serving:
    """Prove ``versions`` from the newest on, until one would be served. Raises `ProviderUnavailable`."""
    name, selection = model_dir.name, context.selection
    refused: dict[int, str] = {}
    for version in selection.order(name, [each for each in versions if selection.may_serve(name, each)]):
        reason = context.prover.reason_against(model_dir / str(version))
        if reason is None:
            return Serving(version, refused)
        refused[version] = reason
    return Serving(None, refused)
