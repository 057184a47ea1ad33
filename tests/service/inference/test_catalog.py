"""Which versions are loaded and which one serves, as the files of real models come, go and break."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service import artifact, metrics
from service.errors import ModelRefused, ProviderUnavailable, StartError
from service.inference import fingerprint
from service.inference.catalog import Catalog
from service.inference.model import Model
from service.inference.reports import Change, Reports
from service.inference.selection import Selection
from service.inference.versions import ModelVersions
from service.metrics import Metrics
from tests.service.inference.loading import loader
from tests.service.published import publish, rewrite


class Folder:
    """A models folder, and what a catalog of it knows. ``loads`` are the versions that were read."""

    def __init__(self, path: Path, *, keep: int = 2, default: str | None = None, **selection: str | None) -> None:
        self.path = path
        self.default = default
        self.counted: Metrics = metrics.alone()
        self.loads: list[tuple[str, int]] = []
        self.fail: Callable[[str, int], None] = lambda _name, _version: None
        real = loader(path)
        load = real.load
        self.now_s = 1e12  # long after the files were written

        def counting(name: str, version: int, running: Model | None = None) -> Model:
            self.loads.append((name, version))
            self.fail(name, version)
            return load(name, version, running)

        real.load = counting  # type: ignore[method-assign]
        self.catalog = Catalog(
            real,
            Selection.of(selection.get("model", default), selection.get("pins")),
            Reports(self.counted.versions, self.counted.retention),
            keep=keep,
            wall_s=lambda: self.now_s,
        )
        self.models: dict[str, ModelVersions] = {}

    def start(self, *, replacement: bool = False) -> None:
        self.models = dict(self.catalog.start(replacement=replacement))
        self.loads.clear()

    def look(self) -> bool:
        self.loads.clear()
        return self.catalog.look(self._apply, self.default, lambda: False)

    def _apply(self, change: Change) -> None:
        self.models.pop(change.name, None)
        if change.after is not None:
            self.models[change.name] = change.after

    def states(self, name: str = "small") -> str:
        """Such as ``3 refused, 2 serving, 1 available``. Versions that are not loaded are in brackets."""
        found = self.models[name].statuses
        return ", ".join(
            f"{each.version} {each.state}" if each.loaded else f"({each.version} {each.state})" for each in found
        )

    def reason(self, version: int | str, name: str = "small") -> str | None:
        return next(each.reason for each in self.models[name].statuses if each.version == version)

    def metric(self, name: str) -> float:
        lines = self.counted.exposition().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])

    def publish(self, version: int, name: str = "small") -> Path:
        publish(self.path, name, version, seed=version)
        return self.path / name / str(version)

    def spoil(self, version: int, name: str = "small") -> Path:
        """Empty the graph of a version, which exists or not."""
        version_dir = self.path / name / str(version)
        if not version_dir.exists():
            self.publish(version, name)
        (version_dir / artifact.MODEL).write_bytes(b"")
        return version_dir


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "models")


REFUSED = (
    "small/3/model.onnx (0 bytes) is not the file that was published: its SHA-256 differs from the one in "
    "metadata.json; copy the version again, or publish it anew"
)


# At start


def test_the_newest_version_serves_and_as_many_as_asked_stay_loaded(folder: Folder) -> None:
    for version in (1, 2, 10):
        folder.publish(version)
    (folder.path / "small" / ".half-written").mkdir()
    folder.start()
    assert folder.states() == "10 serving, 2 available, (1 available)"
    assert folder.reason(1) == "not loaded, as --keep-versions is 2"
    serving = folder.models["small"].serving
    assert serving is not None
    assert serving.manifest.version == 10


@pytest.mark.parametrize(
    ("keep", "states"),
    [(1, "3 serving, (2 available), (1 available)"), (5, "3 serving, 2 available, 1 available")],
)
def test_any_number_of_versions_can_be_kept(tmp_path: Path, keep: int, states: str) -> None:
    folder = Folder(tmp_path, keep=keep)
    for version in (1, 2, 3):
        folder.publish(version)
    folder.start()
    assert folder.states() == states


def test_the_next_older_version_serves_if_the_newest_ones_fail(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.publish(1)
    folder.publish(2)
    folder.spoil(3)
    folder.spoil(4)
    with caplog.at_level(logging.WARNING):
        folder.start()
    assert folder.states() == "(4 refused), (3 refused), 2 serving, 1 available"
    assert folder.reason(3) == REFUSED
    assert f"model small: version 3 is refused: {REFUSED}; version 2 serves" in caplog.messages
    assert folder.metric('mlp_model_load_failures_total{model="small"}') == 2
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 1
    assert folder.metric('mlp_model_versions{model="small",state="refused"}') == 2


def test_a_refused_older_version_is_no_alarm(folder: Folder) -> None:
    folder.spoil(1)
    folder.publish(2)
    folder.start()
    assert folder.states() == "2 serving, (1 refused)"
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 0


def test_a_model_without_a_good_version_keeps_the_server_from_starting(folder: Folder) -> None:
    folder.publish(1, "good")
    folder.spoil(1)
    folder.spoil(2)
    with pytest.raises(ModelRefused) as refused:
        folder.start()
    assert str(refused.value).startswith(f"{folder.path}/small/2/model.onnx (0 bytes) is not the file")
    assert str(refused.value).endswith(" (versions 1 are refused, too)")


def test_an_empty_folder_is_no_model_yet(folder: Folder) -> None:
    """It is made before the first version is moved into it."""
    (folder.path / "other" / ".being-written").mkdir(parents=True)
    with pytest.raises(ModelRefused) as refused:
        folder.start()
    assert str(refused.value) == f"{folder.path}/other has no version; publish one with: make train"
    folder.publish(1)
    folder.start()
    assert list(folder.models) == ["small"]
    folder.publish(1, "other")
    folder.look()
    assert folder.states("other") == "1 serving"


def test_a_replacement_leaves_out_a_model_without_a_good_version(folder: Folder) -> None:
    folder.publish(1, "good")
    folder.spoil(1)
    folder.start(replacement=True)
    assert folder.models["small"].serving is None
    assert folder.states() == "(1 refused)"
    folder.look()
    assert folder.loads == []


@pytest.mark.parametrize("options", [{"default": "small"}, {"pins": "small@1"}])
def test_a_replacement_needs_the_default_and_the_pinned_models(tmp_path: Path, options: dict[str, str]) -> None:
    folder = Folder(tmp_path, **options)  # type: ignore[arg-type]
    folder.publish(1, "good")
    folder.spoil(1)
    with pytest.raises(ModelRefused):
        folder.start(replacement=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda small: (small / "latest").mkdir(),
        lambda small: (small / "9").symlink_to("nowhere"),
        lambda small: (small / "01").mkdir(),
        lambda small: (small.parent / "a b").mkdir(),
        lambda small: (small.parent / "x").symlink_to("nowhere"),
    ],
)
def test_a_folder_with_a_bad_name_does_not_stop_the_good_ones(
    folder: Folder, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    folder.publish(1)
    spoil(folder.path / "small")
    with caplog.at_level(logging.ERROR):
        folder.start()
        folder.look()
    assert folder.states().startswith("1 serving")
    (line,) = caplog.messages
    assert line.startswith("ignored: ")


def test_a_name_that_is_not_utf8_can_be_sent_to_clients(folder: Folder) -> None:
    folder.publish(1)
    (folder.path / "small" / os.fsdecode(b"\xff")).mkdir()
    folder.start()
    assert folder.states() == "1 serving, (\\udcff refused)"
    assert str(folder.reason("\\udcff")).startswith("small/\\udcff: a version folder is named by a positive integer")


def test_an_ignored_version_is_listed_with_its_reason(folder: Folder) -> None:
    folder.publish(1)
    (folder.path / "small" / "latest").mkdir()
    folder.start()
    assert folder.states() == "1 serving, (latest refused)"
    assert str(folder.reason("latest")).startswith("small/latest: a version folder is named by a positive integer")


def test_a_reason_does_not_tell_where_links_lead(folder: Folder) -> None:
    folder.publish(1)
    version_dir = folder.publish(2)
    elsewhere = folder.path.parent / "elsewhere.onnx"
    (version_dir / artifact.MODEL).rename(elsewhere)
    (version_dir / artifact.MODEL).symlink_to(elsewhere)
    (folder.path / "small" / "3").symlink_to("/no/such/folder")
    folder.start()
    assert folder.reason(2) == (
        "small/2/model.onnx leads to …/elsewhere.onnx, outside the models folder 'models'; copy the version into it"
    )
    assert folder.reason("3") == (
        "small/3 is a link to '…/folder', which cannot be followed: No such file or directory; fix the link or remove "
        "it"
    )


def test_a_missing_provider_stops_the_start(folder: Folder) -> None:
    folder.publish(1)

    def missing(_name: str, _version: int) -> None:
        raise ProviderUnavailable("CUDA does not start: no GPU")

    folder.fail = missing
    with pytest.raises(ProviderUnavailable):
        folder.start()


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ("large@1", "model 'large' is pinned, and there are: small; change the pin, or publish it"),
        (
            "small@7",
            "model 'small' is pinned to version 7, and there are: 1, 2; change the pin, or publish that version",
        ),
    ],
)
def test_a_pin_of_something_missing_is_an_error(tmp_path: Path, pins: str, message: str) -> None:
    folder = Folder(tmp_path, pins=pins)
    folder.publish(1)
    folder.publish(2)
    with pytest.raises(StartError) as refused:
        folder.start()
    assert str(refused.value) == message


def test_a_pinned_version_that_fails_is_an_error(tmp_path: Path) -> None:
    folder = Folder(tmp_path, pins="small@3")
    folder.publish(2)
    folder.spoil(3)
    with pytest.raises(ModelRefused) as refused:
        folder.start()
    assert str(refused.value).startswith(f"model 'small' is pinned to version 3, which is refused: {tmp_path}/small/3/")


# While it runs


def test_nothing_is_read_again_while_nothing_changes(folder: Folder) -> None:
    folder.publish(1)
    folder.publish(2)
    folder.spoil(3)
    folder.start()
    before = dict(folder.models)
    assert folder.look()
    assert (folder.loads, folder.models) == ([], before)


def test_a_new_version_takes_over(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.publish(1)
    folder.start()
    folder.publish(2)
    with caplog.at_level(logging.INFO):
        folder.look()
    assert folder.loads == [("small", 2)]
    assert folder.states() == "2 serving, 1 available"
    assert "model small: version 2 serves in place of version 1" in caplog.messages
    info = 'mlp_model_info{{model="small",precision="fp32",provider="cpu",version="{}"}}'
    assert [folder.metric(info.format(version)) for version in (1, 2)] == [0, 1]
    assert folder.metric('mlp_model_swaps_total{model="small"}') == 1
    folder.publish(3)
    folder.look()
    assert folder.states() == "3 serving, 2 available, (1 available)"


def test_a_refused_version_is_not_tried_again_until_its_files_change(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.publish(2)
    folder.start()
    spoiled = folder.spoil(3)
    with caplog.at_level(logging.WARNING):
        folder.look()
    assert folder.states() == "(3 refused), 2 serving"
    assert caplog.messages == [f"model small: version 3 is refused: {REFUSED}; version 2 keeps serving"]
    folder.look()
    assert folder.loads == []
    shutil.rmtree(spoiled)
    folder.publish(3)
    folder.look()
    assert folder.loads == [("small", 3)]
    assert folder.states() == "3 serving, 2 available"
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 0


def test_a_version_counts_as_loading_while_it_is_loaded(folder: Folder) -> None:
    folder.publish(1)
    folder.start()
    seen: list[float] = []
    loading = 'mlp_model_versions{model="small",state="loading"}'
    folder.fail = lambda _name, _version: seen.append(folder.metric(loading))
    folder.publish(2)
    folder.look()
    assert (seen, folder.metric(loading)) == ([1], 0)


def test_permissions_alone_are_a_change(folder: Folder) -> None:
    """Root can read any file, so this changes them without effect, and looks at what is read again."""
    folder.publish(1)
    folder.start()
    (folder.path / "small" / "1" / artifact.MODEL).chmod(0o400)
    folder.look()
    assert folder.loads == [("small", 1)]


def test_a_half_copied_version_is_loaded_once_it_is_complete(folder: Folder) -> None:
    folder.publish(1)
    folder.start()
    complete = folder.publish(2).rename(folder.path.parent / "complete")
    (folder.path / "small" / "2").mkdir()
    for name in (artifact.GOLDEN, artifact.MANIFEST, artifact.EXAMPLE, artifact.MODEL):
        folder.look()
        assert folder.states() == "(2 refused), 1 serving"
        shutil.copy(complete / name, folder.path / "small" / "2")
    folder.look()
    assert folder.states() == "2 serving, 1 available"


def test_a_file_that_was_written_just_now_is_looked_at_again(folder: Folder) -> None:
    """A later change within the same tick of the file system's clock would have the same time."""
    folder.publish(1)
    folder.start()
    spoiled = folder.spoil(2)
    folder.now_s = (spoiled / artifact.MODEL).stat().st_mtime + 1
    folder.look()
    folder.look()
    assert folder.loads == [("small", 2)]
    assert folder.metric('mlp_model_load_failures_total{model="small"}') == 1
    folder.now_s += 10
    folder.look()
    folder.look()
    assert folder.loads == []


def test_configmap_links_are_followed(folder: Folder) -> None:
    """Kubernetes replaces the link ``..data``; the links to files in it stay as they are."""
    small = folder.path / "small" / "1"
    publish(folder.path, seed=1)
    small.rename(folder.path / "small" / "..first")
    publish(folder.path, seed=2)
    small.rename(folder.path / "small" / "..second")
    small.mkdir()
    data = folder.path / "small" / "..data"
    data.symlink_to("..first")
    for name in (artifact.MANIFEST, *artifact.REQUIRED):
        (small / name).symlink_to(f"../..data/{name}")
    folder.start()
    first = folder.models["small"].serving
    folder.look()
    assert folder.models["small"].serving is first
    new = folder.path / "small" / "..new"
    new.symlink_to("..second")
    new.rename(data)
    folder.look()
    second = folder.models["small"].serving
    assert second is not None
    assert second is not first
    assert second.manifest.seed == 2


def test_a_serving_version_whose_files_break_keeps_serving_from_memory(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.publish(2)
    folder.publish(3)
    folder.start()
    running = folder.models["small"].serving
    folder.spoil(3)
    with caplog.at_level(logging.ERROR):
        folder.look()
        folder.look()
    assert folder.models["small"].serving is running
    assert folder.states() == "3 serving, 2 available"
    assert folder.reason(3) == REFUSED
    assert caplog.messages == [f"model small: version 3 serves from memory: {REFUSED}"]
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 1


def test_a_serving_version_whose_files_change_for_good_ones_is_swapped(folder: Folder) -> None:
    version_dir = folder.publish(1)
    folder.start()
    running = folder.models["small"].serving
    (version_dir / artifact.MODEL).touch()
    folder.look()
    assert folder.loads == [("small", 1)]
    assert folder.models["small"].serving is running
    rewrite(version_dir, lambda document: document.update(seed=77))
    folder.look()
    new = folder.models["small"].serving
    assert new is not None
    assert new is not running
    assert new.manifest.seed == 77


def test_a_withdrawn_version_gives_way_to_the_next_older_one(folder: Folder) -> None:
    for version in (1, 2, 3):
        folder.publish(version)
    folder.start()
    older = folder.models["small"].loaded[2]
    (folder.path / "small" / "3").rename(folder.path / "small" / ".withdrawn-3")
    folder.look()
    assert folder.loads == [("small", 1)]
    assert folder.models["small"].serving is older
    assert folder.states() == "2 serving, 1 available"
    (folder.path / "small" / ".withdrawn-3").rename(folder.path / "small" / "3")
    folder.look()
    assert folder.states() == "3 serving, 2 available, (1 available)"


def test_the_only_version_keeps_serving_though_it_is_gone(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.publish(1)
    folder.start()
    shutil.rmtree(folder.path / "small" / "1")
    with caplog.at_level(logging.ERROR):
        folder.look()
        folder.look()
    assert folder.states() == "1 serving"
    assert caplog.messages == [f"{folder.path}/small has no version; model small keeps serving from memory"]


def test_a_version_that_is_gone_serves_until_a_good_one_comes(folder: Folder) -> None:
    gone = folder.publish(1)
    folder.start()
    shutil.rmtree(gone)
    folder.spoil(2)
    folder.look()
    assert folder.states() == "(2 refused), 1 serving"
    assert folder.reason(1) == "its files are gone; a restart cannot load it"
    folder.publish(3)
    folder.look()
    assert folder.states() == "3 serving, (2 refused)"


def test_a_model_comes_and_goes(folder: Folder) -> None:
    folder.publish(1)
    folder.start()
    (folder.path / "other").mkdir()
    folder.look()
    assert list(folder.models) == ["small"]
    folder.publish(1, "other")
    folder.look()
    assert folder.states("other") == "1 serving"
    shutil.rmtree(folder.path / "other")
    folder.look()
    assert list(folder.models) == ["small"]


def test_a_new_model_without_a_good_version_is_listed(folder: Folder) -> None:
    folder.publish(1)
    folder.start()
    folder.spoil(1, "other")
    folder.look()
    assert folder.states("other") == "(1 refused)"
    assert folder.models["other"].serving is None
    assert folder.metric('mlp_model_newest_refused{model="other"}') == 1
    shutil.rmtree(folder.path / "other" / "1")
    folder.look()
    assert list(folder.models) == ["small"]
    assert folder.metric('mlp_model_newest_refused{model="other"}') == 0


def test_the_default_model_is_not_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = Folder(tmp_path, default="small")
    folder.publish(1)
    folder.publish(1, "other")
    folder.start()
    shutil.rmtree(tmp_path / "small")
    with caplog.at_level(logging.ERROR):
        folder.look()
        folder.look()
    assert folder.models.keys() == {"small", "other"}
    assert caplog.messages == [f"{tmp_path}/small is gone; model small keeps serving from memory"]


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a file"])
def test_models_keep_serving_while_their_folder_is_away(
    folder: Folder, caplog: pytest.LogCaptureFixture, left: str
) -> None:
    folder.publish(1)
    folder.start()
    away = folder.path.rename(folder.path.parent / "away")
    if left == "an empty folder":
        folder.path.mkdir()
    if left == "a file":
        folder.path.touch()
    with caplog.at_level(logging.ERROR):
        assert not folder.look()
        assert not folder.look()
    assert folder.states() == "1 serving"
    (line,) = caplog.messages
    assert line.endswith("; the models keep serving from memory")
    if left == "an empty folder":
        folder.path.rmdir()
    if left == "a file":
        folder.path.unlink()
    away.rename(folder.path)
    assert folder.look()
    assert folder.loads == []


def test_a_pinned_version_stays_though_a_newer_one_comes(tmp_path: Path) -> None:
    folder = Folder(tmp_path, pins="small@1")
    folder.publish(1)
    folder.start()
    folder.publish(2)
    folder.publish(3)
    folder.look()
    assert folder.states() == "3 available, (2 available), 1 serving"
    folder.spoil(4)
    folder.look()
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 0


def test_a_pinned_version_that_is_gone_serves_from_memory(tmp_path: Path) -> None:
    folder = Folder(tmp_path, pins="small@1")
    folder.publish(1)
    folder.publish(2)
    folder.start()
    shutil.rmtree(tmp_path / "small" / "1")
    folder.look()
    assert folder.states() == "2 available, 1 serving"
    assert folder.metric('mlp_model_newest_refused{model="small"}') == 1


@pytest.mark.parametrize(
    ("candidate", "states"),
    [
        (1, "4 serving, 3 available, (2 available), 1 available"),
        (4, "4 available, 3 serving, 2 available, (1 available)"),
    ],
)
def test_a_candidate_is_loaded_beside_the_others_and_never_serves(tmp_path: Path, candidate: int, states: str) -> None:
    folder = Folder(tmp_path)
    folder.catalog._selection = Selection.of(None, None, {"small": candidate})
    for version in (1, 2, 3, 4):
        folder.publish(version)
    folder.start()
    assert folder.states() == states


@pytest.mark.parametrize(
    ("error", "is_tried_again"),
    [
        (OSError(errno.EMFILE, "Too many open files"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.ENOENT, "No such file or directory"), False),
    ],
)
def test_an_error_that_can_pass_is_tried_again(folder: Folder, error: OSError, is_tried_again: bool) -> None:
    folder.publish(1)
    folder.start()

    def fail(_name: str, _version: int) -> None:
        raise ModelRefused("model.onnx cannot be read") from error

    folder.fail = fail
    folder.publish(2)
    folder.look()
    assert folder.states() == "(2 refused), 1 serving"
    folder.look()
    assert (folder.loads == [("small", 2)]) is is_tried_again
    assert folder.metric('mlp_model_load_failures_total{model="small"}') == 1


@pytest.mark.parametrize("error", [MemoryError(), ValueError("a bug"), ProviderUnavailable("CUDA does not start")])
def test_any_other_error_leaves_the_running_version(folder: Folder, error: Exception) -> None:
    folder.publish(1)
    folder.start()

    def fail(_name: str, _version: int) -> None:
        raise error

    folder.fail = fail
    folder.publish(2)
    folder.look()
    assert folder.states() == "(2 refused), 1 serving"
    assert folder.reason(2)


def test_versions_are_listed_up_to_a_bound(folder: Folder) -> None:
    folder.publish(1000)
    for version in range(1, 1000):
        (folder.path / "small" / str(version)).mkdir()
    folder.start()
    assert len(folder.models["small"].statuses) <= 101
    assert folder.models["small"].statuses[0].version == 1000


def test_a_look_ends_early_when_the_server_stops(folder: Folder) -> None:
    folder.publish(1)
    folder.start()
    folder.publish(2)
    folder.loads.clear()
    assert not folder.catalog.look(folder._apply, None, lambda: True)
    assert folder.loads == []


def test_a_version_that_is_not_needed_is_not_looked_at(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in range(1, 6):
        folder.publish(version)
    folder.start()
    looked: list[str] = []
    of = fingerprint.of

    def counting(version_dir: Path, now_s: Callable[[], float]) -> tuple[fingerprint.Fingerprint, bool]:
        looked.append(version_dir.name)
        return of(version_dir, now_s)

    monkeypatch.setattr(fingerprint, "of", counting)
    folder.look()
    assert looked == ["5", "4"]
