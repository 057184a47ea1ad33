"""Brings single versions into the models folder, and remembers which were good and which were refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from service import artifact
from service.manifest import ArtifactError
from service.models import table
from service.models.pulling import landing, remote_version
from service.models.pulling.notices import Notices
from service.models.pulling.progress import Progress
from service.models.pulling.remote_version import RemoteVersion
from service.models.pulling.retries import Retries, SourceAway
from service.models.pulling.source import Source


@dataclass(slots=True)
class Outcome:
    """What a look did: counts of versions, and the models without any good version."""

    pulled: int = 0
    there: int = 0
    refused: int = 0
    deleted: int = 0
    empty: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.pulled} pulled, {self.there} already there, {self.refused} refused, {self.deleted} deleted"


class Versions:
    """Copies versions of ``source`` into the folder ``models``. ``write`` gets a line for each.

    What was found stands for as long as the source lists the same files: a good version is not read again, and a
    refused one is not copied again.
    """

    def __init__(
        self,
        source: Source,
        models: Path,
        retries: Retries,
        notices: Notices,
        progress: Progress,
        write: Callable[[str], object],
    ) -> None:
        self._source = source
        self._models = models
        self._retries = retries
        self._notices = notices
        self._progress = progress
        self._write = write
        self._good: dict[tuple[str, int], str] = {}
        self._refused: dict[tuple[str, int], tuple[str, str]] = {}

    def bring(self, name: str, version: int, outcome: Outcome) -> bool:
        """Copy the version if it is not there. Returns whether it is there now, and good."""
        hidden = artifact.withdrawn_dir(self._models / name, version)
        if hidden.is_dir():
            self._notices.say(f"{name}@{version} is not copied again: it was withdrawn, and is in {hidden}")
            return False
        try:
            remote = remote_version.find(self._source, name, version, self._retries)
        except (ArtifactError, SourceAway) as error:
            self._notices.say(str(error))
            return False
        stamp, reason = self._refused.get((name, version), ("", ""))
        if stamp != remote.stamp:
            reason = self._examined(remote, outcome)
        elif reason:
            outcome.refused += 1
            self._notices.say(reason)
        return not reason

    def _examined(self, remote: RemoteVersion, outcome: Outcome) -> str:
        """Why the version is not taken; empty if it is there now. An error of the source is not kept."""
        key, folder = (remote.name, remote.version), self._models / remote.name / str(remote.version)
        if self._good.get(key) == remote.stamp and folder.is_dir():
            outcome.there += 1
            return ""
        try:
            self._take(remote, folder, outcome)
        except SourceAway as error:
            self._notices.say(str(error))
            return str(error)
        except landing.NotWritable:
            raise
        except ArtifactError as error:
            reason = f"refused {remote.name}@{remote.version}: {error}"
            self._refused[key] = remote.stamp, reason
            outcome.refused += 1
            self._notices.say(reason)
            return reason
        self._good[key] = remote.stamp
        return ""

    def _take(self, remote: RemoteVersion, folder: Path, outcome: Outcome) -> None:
        manifest, content = remote.manifest(self._retries)
        if landing.is_there(folder, manifest, content):
            outcome.there += 1
            return
        began_s = time.monotonic()
        self._progress.begin(remote.shown)
        try:
            size = landing.land(remote, manifest, content, self._models, self._retries, self._progress.add)
        finally:
            self._progress.end()
        outcome.pulled += 1
        self._write(
            f"pulled {remote.name}@{remote.version}: {len(manifest.files) + 1} files, {table.size_text(size)} in "
            f"{time.monotonic() - began_s:.1f} s"
        )
