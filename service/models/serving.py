"""Which version a server would serve: the newest that proves itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.models.prover import Prover

# What changes a running server, for messages.
WHEN = "within their --reload-interval-s (default 5 s; with 0 when they restart)"


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that would be served, None if every one is refused, and why newer ones are ``refused``."""

    version: int | None
    refused: dict[int, str]


def find(model_dir: Path, versions: Sequence[int], prover: Prover) -> Serving:
    """Prove ``versions`` from the newest on, until one would be served. Raises `ProviderUnavailable`."""
    refused: dict[int, str] = {}
    for version in sorted(versions, reverse=True):
        reason = prover.reason_against(model_dir / str(version))
        if reason is None:
            return Serving(version, refused)
        refused[version] = reason
    return Serving(None, refused)
