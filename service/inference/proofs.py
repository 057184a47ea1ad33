"""Remembers which versions of a model proved themselves, so that each is tried once for the files it has."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from service.errors import ModelRefused, ProviderUnavailable
from service.inference import fingerprint
from service.inference.fingerprint import Fingerprint
from service.inference.loader import Loader
from service.inference.model import Model

_log = logging.getLogger(__name__)

# Errors of a file system or a process that can pass while the files stay as they are.
_PASSING: Final = frozenset(
    {errno.EIO, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
)


@dataclass(frozen=True, slots=True)
class Proof:
    """How loading a version ended. ``model`` runs; beside a ``reason``, from the files that were there before.

    It stands until the ``fingerprint`` changes; None means until the next look.
    """

    fingerprint: Fingerprint | None
    model: Model | None
    reason: str | None


class Proofs:
    """The proofs of one model's versions. ``wall_s`` gives seconds since 1970."""

    def __init__(self, name: str, loader: Loader, wall_s: Callable[[], float]) -> None:
        self._name = name
        self._loader = loader
        self._wall_s = wall_s
        self._proofs: dict[int, Proof] = {}

    def get(self, version: int) -> Proof | None:
        """What is known of a version."""
        return self._proofs.get(version)

    def reasons(self) -> dict[int, str]:
        """Why versions are refused."""
        return {version: proof.reason for version, proof in self._proofs.items() if proof.reason is not None}

    def is_outdated(self, version: int) -> bool:
        """Whether a version has to be loaded to know what it is."""
        known = self._proofs.get(version)
        return known is None or known.fingerprint != self._fingerprint(version)[0]

    def prove(self, version: int, *, may_lack_provider: bool) -> Proof:
        """Load a version. A running one of the same number runs on if the new files are refused.

        Raises `ProviderUnavailable` unless the version ``may_lack_provider``.
        """
        files, settled = self._fingerprint(version)
        running = self._running(version)
        reason, lasting = None, True
        try:
            running = self._loader.load(self._name, version, running)
        except ProviderUnavailable as error:
            if not may_lack_provider:
                raise
            reason, lasting = str(error), False
        except ModelRefused as error:
            reason, lasting = str(error), not _may_pass(error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, another one serves
            _log.exception("model %s: loading version %d failed", self._name, version)
            reason, lasting = f"loading it failed with {type(error).__name__}", not isinstance(error, MemoryError)
        proof = Proof(files if settled and lasting else None, running, reason)
        self._proofs[version] = proof
        return proof

    def keep_in_memory(self, model: Model, reason: str) -> None:
        """Note that a version runs whose files are gone."""
        self._proofs[model.manifest.version] = Proof(None, model, reason)

    def forget(self, on_disk: Collection[int], loaded: Collection[int], tried: Collection[int]) -> None:
        """Forget versions that are gone or unloaded, and refusals not ``tried`` again though the files changed."""
        for version, proof in [*self._proofs.items()]:
            if version in loaded:
                continue
            changed = version not in tried and self.is_outdated(version)
            if version not in on_disk or proof.model is not None or changed:
                del self._proofs[version]

    def _running(self, version: int) -> Model | None:
        known = self._proofs.get(version)
        return None if known is None else known.model

    def _fingerprint(self, version: int) -> tuple[Fingerprint, bool]:
        return fingerprint.of(self._loader.folder / self._name / str(version), self._wall_s)


def _may_pass(error: BaseException) -> bool:
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.errno in _PASSING
        cause = cause.__cause__
    return False
