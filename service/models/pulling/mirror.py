"""One look at a source: which versions of which models are wanted, and which ones that are here are wanted no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service import artifact, withdrawal
from service.artifact import VERSION
from service.manifest import ArtifactError
from service.models import serving
from service.models.command import CommandError, Context
from service.models.pulling import landing
from service.models.pulling.notices import Notices
from service.models.pulling.progress import Progress
from service.models.pulling.retries import NotThere, Retries
from service.models.pulling.source import MAX_ENTRIES, Entry, Source
from service.models.pulling.versions import Outcome, Versions
from service.models.references import suggestion


@dataclass(frozen=True, slots=True)
class Wanted:
    """The ``newest`` good versions of each model, and those that are pinned.

    ``only`` has the models to copy, all if it is empty, with a version if it is that one alone. With ``prune``, other
    versions of these models are deleted.
    """

    only: Mapping[str, int | None]
    newest: int
    prune: bool


class Mirror:
    """Copies what is ``wanted`` of ``source`` into the models folder of ``context``."""

    def __init__(
        self,
        source: Source,
        wanted: Wanted,
        context: Context,
        retries: Retries,
        progress: Progress,
        warn: Callable[[str], object],
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._context = context
        self._retries = retries
        self._notices = Notices(warn)
        self._versions = Versions(source, context.models, retries, self._notices, progress, context.write)

    @property
    def shown(self) -> str:
        """The source's name for messages."""
        return self._source.shown

    def look(self) -> Outcome:
        """Copy what is missing, newest versions first, and delete what is wanted no more.

        Raises `SourceAway`, and `CommandError` or `ArtifactError` if there is nothing to copy, or nowhere to copy it.
        """
        models, outcome = self._context.models, Outcome()
        _make(models)
        with withdrawal.locked(models):
            landing.clean(models)
            self._source.refresh()
            for name in self._names(outcome):
                self._model(name, outcome)
        self._notices.end_look()
        return outcome

    def _names(self, outcome: Outcome) -> list[str]:
        entries = [entry for entry in self._entries() if entry.is_folder]
        found = [entry.name for entry in entries if self._is_name(entry.name)]
        if not found:
            hint = "it holds versions: give the folder above it" if any(map(_is_version, entries)) else "publish one"
            raise CommandError(f"{self._source.shown} has no model; {hint}")
        for name in self._wanted.only.keys() - {*found}:
            self._notices.say(f"{self._source.shown} has no model {name!r}; {suggestion(name, found)}")
            outcome.empty.append(name)
        return [name for name in found if not self._wanted.only or name in self._wanted.only]

    def _is_name(self, name: str) -> bool:
        if VERSION.fullmatch(name) or name == "lost+found":
            return False
        try:
            artifact.check_name(name)
        except ArtifactError as error:
            self._notices.say(f"left out of {self._source.shown}: {error}")
            return False
        return True

    def _entries(self, *parts: str) -> list[Entry]:
        shown = "/".join((self._source.shown, *parts))
        try:
            entries = self._retries(lambda: self._source.entries(*parts), shown)
        except NotThere as error:
            raise CommandError(str(error)) from error
        if len(entries) > MAX_ENTRIES:
            raise CommandError(f"{shown} has {len(entries):,} entries, expected {MAX_ENTRIES:,} at most")
        return entries

    def _model(self, name: str, outcome: Outcome) -> None:
        offered = sorted((int(entry.name) for entry in self._entries(name) if _is_version(entry)), reverse=True)
        pinned, only = self._pinned(name), self._wanted.only.get(name)
        good: set[int] = set()
        tried: set[int] = set()
        for version in offered:
            if version in pinned or (only is None and len(good) < self._wanted.newest):
                tried.add(version)
                good |= {version} if self._versions.bring(name, version, outcome) else set()
        if not good and (offered or name in self._wanted.only):
            outcome.empty.append(name)
        if good and self._wanted.prune:
            self._prune(self._context.models / name, tried, outcome)

    def _pinned(self, name: str) -> set[int]:
        only, selection = self._wanted.only.get(name), self._context.selection
        if only is not None:
            return {only}
        return {each[name] for each in (selection.pins, selection.candidates) if name in each}

    def _prune(self, model_dir: Path, wanted: set[int], outcome: Outcome) -> None:
        """Delete versions that are not wanted, if one that stays would be served.

        A wanted version that is refused in the source stays as it is here.
        """
        here = [int(name) for name in artifact.list_versions(model_dir).names]
        surplus = [version for version in here if version not in wanted]
        if not surplus:
            return
        stay = [version for version in here if version not in surplus]
        with withdrawal.locked(model_dir):
            if serving.find(model_dir, stay, self._context).version is None:
                listed = ", ".join(map(str, surplus))
                self._notices.say(f"{model_dir.name}: {listed} would be deleted, and stays: no other would be served")
                return
            for version in surplus:
                withdrawal.delete(model_dir / str(version))
                outcome.deleted += 1
                self._context.write(f"deleted {model_dir.name}@{version}")


def _is_version(entry: Entry) -> bool:
    return entry.is_folder and VERSION.fullmatch(entry.name) is not None


def _make(models: Path) -> None:
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{models} cannot be made: {error.strerror}; give another folder with --models") from error
