"""Decides which versions of each model are loaded, and which one serves: the newest good one, or a pinned one."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Final

from service import artifact
from service.artifact import Listing
from service.errors import ModelRefused
from service.inference.loader import Loader
from service.inference.model import Model
from service.inference.proofs import Proofs
from service.inference.reports import Change, Reports
from service.inference.selection import Selection
from service.inference.versions import ModelVersions, State, VersionStatus, in_utf8
from service.manifest import ArtifactError

_log = logging.getLogger(__name__)

# Of a folder with more, the newest ones are listed, and those that are loaded.
_LISTED: Final = 100
# The folders of an absolute path, as in /srv/others/model.onnx.
_FOLDERS: Final = re.compile(r"(?<![\w.:/])/(?:[^\s/'\",;:)]+/)+")
_GONE: Final = "its files are gone; a restart cannot load it"
_FROM_MEMORY: Final = "the models keep serving from memory"


class Catalog:
    """The versions in the loader's folder. One that is refused is not tried again until its files change.

    ``keep`` versions of each model are loaded if as many are good: the serving one and the newest others.
    ``loading`` is called with the name and version that are being loaded, and with None after it. ``wall_s`` gives
    seconds since 1970.
    """

    def __init__(
        self,
        loader: Loader,
        selection: Selection,
        reports: Reports,
        *,
        keep: int,
        loading: Callable[[tuple[str, int] | None], None] = lambda _version: None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._folder = loader.folder
        self._loader = loader
        self._selection = selection
        self._reports = reports
        self._keep = keep
        self.loading = loading
        self._wall_s = wall_s
        self._started = False
        self._proofs: dict[str, Proofs] = {}
        self._models: dict[str, ModelVersions] = {}

    def start(self, *, replacement: bool = False) -> Mapping[str, ModelVersions]:
        """Load what serves at the start.

        Raises `ProviderUnavailable`, and `ModelRefused` if there is no model, or no version of one that can be served.
        A ``replacement`` for a process that served leaves out models of the second kind, as that process did.
        """
        try:
            listing = artifact.list_models(self._folder)
        except ArtifactError as error:
            raise ModelRefused(str(error)) from error
        self._check_pins(listing)
        self._reports.ignored("", listing)
        failures, empty = [], [*listing.ignored.values()]
        for name in listing.names:
            try:
                empty += self._start(name)
            except ModelRefused as error:
                if name in self._selection.pins or name == self._selection.default:
                    raise
                failures.append(error)
        serves = any(versions.serving for versions in self._models.values())
        if failures and not (replacement and serves):
            raise failures[0]
        if not serves:
            none = f"models folder {str(self._folder)!r} is empty; publish a model with: make train"
            raise ModelRefused(empty[0] if empty else none)
        for failure in failures:
            _log.error("a model is left out: %s", failure)
        self._started = True
        return dict(self._models)

    def look(self, apply: Callable[[Change], None], default: str | None, stopping: Callable[[], bool]) -> bool:
        """Compare the folder with what is known, and report each model that changed to ``apply``.

        The ``default`` model is not removed. Returns whether the whole folder was read. Ends early once ``stopping``.
        """
        try:
            listing = artifact.list_models(self._folder)
        except ArtifactError as error:
            self._reports.problem("", f"{error}; {_FROM_MEMORY}")
            return False
        if not listing.names:
            self._reports.problem("", f"models folder {str(self._folder)!r} is empty; {_FROM_MEMORY}")
            return False
        self._reports.problem("", None)
        self._reports.ignored("", listing)
        complete = True
        for name in listing.names:
            if stopping():
                return False
            complete &= self._look_at(name, apply)
        for name in [name for name in self._models if name not in listing.names]:
            self._remove(name, apply, default, is_gone=name not in listing.ignored)
        return complete

    def _start(self, name: str) -> list[str]:
        """Load a model. Returns why there is nothing to load, if its folder has no version."""
        try:
            found = artifact.list_versions(self._folder / name)
        except ArtifactError as error:
            raise ModelRefused(str(error)) from error
        self._reports.ignored(name, found)
        pin = self._selection.pins.get(name)
        if pin is not None and str(pin) not in found.names:
            raise ModelRefused(
                f"model {name!r} is pinned to version {pin}, and there are: {', '.join(found.names) or 'none'}; "
                "change the pin, or publish that version"
            )
        if not found.names:  # as while its first version is written
            none = f"{self._folder / name} has no version; publish one with: make train"
            self._reports.problem(name, none)
            return [*found.ignored.values(), none]
        versions = self._refresh(name, found)
        self._reports.change(
            Change(name, ModelVersions(), versions), newest_refused=self._newest_refused(name, versions)
        )
        self._models[name] = versions
        if versions.serving is None:
            raise ModelRefused(self._why_none_serves(name))
        return []

    def _look_at(self, name: str, apply: Callable[[Change], None]) -> bool:
        """Refresh one model. False if its folder cannot be read."""
        try:
            found = artifact.list_versions(self._folder / name)
        except ArtifactError as error:
            self._reports.problem(name, f"{error}; model {name} keeps serving from memory")
            return False
        before = self._models.get(name, ModelVersions())
        if not found.names and before.serving is not None:
            self._reports.problem(name, f"{self._folder / name} has no version; model {name} keeps serving from memory")
            return True
        self._reports.problem(name, None)
        self._reports.ignored(name, found)
        if not found.names and not found.ignored:  # a folder is made before its first version
            if name in self._models:
                self._drop(name, apply)
            return True
        after = self._refresh(name, found)
        if after != before:
            self._models[name] = after
            change = Change(name, before, after)
            self._reports.change(change, newest_refused=self._newest_refused(name, after))
            apply(change)
        return True

    def _remove(self, name: str, apply: Callable[[Change], None], default: str | None, *, is_gone: bool) -> None:
        """Remove a model whose folder is gone, unless requests would be left without any model."""
        others = [each for each, versions in self._models.items() if each != name and versions.serving is not None]
        if not is_gone or name == default or not others:
            self._reports.problem(name, f"{self._folder / name} is gone; model {name} keeps serving from memory")
        else:
            self._drop(name, apply)

    def _drop(self, name: str, apply: Callable[[Change], None]) -> None:
        change = Change(name, self._models.pop(name), None)
        self._proofs.pop(name, None)
        self._reports.change(change, newest_refused=False)
        self._reports.models(self._models)
        apply(change)

    def _refresh(self, name: str, found: Listing) -> ModelVersions:
        """The versions of a model, after loading those that are needed and not loaded."""
        selection, before = self._selection, self._models.get(name, ModelVersions())
        on_disk = [int(version) for version in found.names]
        proofs = self._proofs.setdefault(name, Proofs(name, self._loader, self._wall_s))
        loaded: dict[int, Model] = {}
        tried: set[int] = set()
        serving, kept = None, 0
        for version in selection.order(name, on_disk):
            is_candidate = selection.is_candidate(name, version)
            could_serve = serving is None and selection.may_serve(name, version)
            if is_candidate or could_serve or kept < self._keep:
                tried.add(version)
                model = self._prove(proofs, name, version)
                if model is not None:
                    loaded[version] = model
                    kept += not is_candidate
                    serving = model if could_serve else serving
        if serving is None and before.serving is not None:
            serving = before.serving
            loaded[serving.manifest.version] = serving
            if serving.manifest.version not in on_disk:
                proofs.keep_in_memory(serving, _GONE)
        proofs.forget(on_disk, loaded, tried)
        return ModelVersions(serving, loaded, self._statuses(proofs, found, serving, loaded))

    def _prove(self, proofs: Proofs, name: str, version: int) -> Model | None:
        """The model of a version, loaded if its files are others than those that were tried before."""
        known = proofs.get(version)
        if known is not None and not proofs.is_outdated(version):
            return known.model
        self.loading((name, version))
        self._reports.loading(name, on=True)
        try:
            proof = proofs.prove(version, may_lack_provider=self._started)
        finally:
            self.loading(None)
            self._reports.loading(name, on=False)
        if proof.reason is not None and (known is None or known.reason != proof.reason):
            self._reports.refusal(name)
        return proof.model

    def _statuses(
        self, proofs: Proofs, found: Listing, serving: Model | None, loaded: Mapping[int, Model]
    ) -> tuple[VersionStatus, ...]:
        reasons, statuses = proofs.reasons(), []
        for version in sorted({*map(int, found.names[-_LISTED:]), *loaded}, reverse=True):
            state, reason = State.AVAILABLE, reasons.get(version)
            if version in loaded:
                state = State.SERVING if loaded[version] is serving else state
            elif reason is not None:
                state = State.REFUSED
            else:
                reason = f"not loaded, as --keep-versions is {self._keep}"
            statuses.append(VersionStatus(version, state, version in loaded, self._public(reason)))
        for folder, reason in [*found.ignored.items()][:_LISTED]:
            statuses.append(VersionStatus(in_utf8(folder), State.REFUSED, loaded=False, reason=self._public(reason)))
        return tuple(statuses)

    def _public(self, reason: str | None) -> str | None:
        """``reason`` for clients, who need not know where the models folder is, nor where links lead outside of it."""
        if reason is None:
            return None
        inside = reason.replace(f"{self._folder}/", "").replace(str(self._folder), self._folder.name)
        return in_utf8(_FOLDERS.sub("…/", inside))

    def _newest_refused(self, name: str, versions: ModelVersions) -> bool:
        """Whether a version that should serve is refused, so that another one, or its former files, serve instead."""
        for each in versions.statuses:
            if each.state is State.SERVING:
                return each.reason is not None
            if isinstance(each.version, int) and self._selection.may_serve(name, each.version):
                return True
        return True

    def _why_none_serves(self, name: str) -> str:
        reasons = self._proofs[name].reasons()
        pin = self._selection.pins.get(name)
        if pin is not None:
            return f"model {name!r} is pinned to version {pin}, which is refused: {reasons[pin]}"
        if not reasons:
            return f"model {name!r} has no version but a candidate; publish another one with: make train"
        newest, *older = sorted(reasons, reverse=True)
        if not older:
            return reasons[newest]
        return f"{reasons[newest]} (versions {', '.join(map(str, older[:_LISTED]))} are refused, too)"

    def _check_pins(self, listing: Listing) -> None:
        for name in self._selection.pins:
            if name not in listing.names:
                there = ", ".join(listing.names) or "none"
                raise ModelRefused(f"model {name!r} is pinned, and there are: {there}; change the pin, or publish it")
