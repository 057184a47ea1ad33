"""A version is withdrawn, restored and deleted in one step, and its number is used once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service import artifact, artifact_writer, withdrawal
from service.manifest import ArtifactError
from tests.service.errors import artifact_error
from tests.service.inference.loading import loader
from tests.service.published import publish
from tests.service.running import PATIENCE_S
from tests.service.test_artifact_writer import republished


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """Versions 1, 2 and 3 of a model, published without marks of their numbers."""
    for version in (1, 2, 3):
        publish(tmp_path / "models", "small", version, seed=version)
    return tmp_path / "models" / "small"


def states(model_dir: Path) -> tuple[list[int], list[int]]:
    """The versions that servers see, and the withdrawn ones."""
    return artifact.versions(model_dir), artifact.withdrawn_versions(model_dir)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def publish_next(model_dir: Path) -> int:
    """Publish as training does, and return the number."""
    make = republished(model_dir / str(artifact.versions(model_dir)[-1]), model_dir.name)
    return int(artifact_writer.publish(model_dir.parent, model_dir.name, make).name)


def test_a_withdrawn_version_is_hidden_and_restored_unchanged(model_dir: Path) -> None:
    before = contents(model_dir / "3")
    hidden = withdrawal.withdraw(model_dir, 3)
    assert hidden == model_dir / ".withdrawn-3"
    assert states(model_dir) == ([1, 2], [3])
    assert contents(hidden) == before
    assert artifact.read(hidden).manifest.version == 3
    assert withdrawal.restore(model_dir, 3) == model_dir / "3"
    assert states(model_dir) == ([1, 2, 3], [])
    assert contents(model_dir / "3") == before


def test_a_withdrawn_folder_of_another_version_is_refused(model_dir: Path) -> None:
    withdrawal.withdraw(model_dir, 3).rename(model_dir / ".withdrawn-9")
    assert "lies in the folder of 'small' version 9" in artifact_error(artifact.read, model_dir / ".withdrawn-9")


def test_servers_never_read_hidden_folders(model_dir: Path) -> None:
    withdrawal.withdraw(model_dir, 3)
    shutil.copytree(model_dir / "2", model_dir / ".deleting-9")
    shutil.copytree(model_dir / "2", model_dir / ".withdrawn-x")
    (model_dir / ".lock").touch()
    assert artifact.model_names(model_dir.parent) == ["small"]
    assert states(model_dir) == ([1, 2], [3])
    assert loader(model_dir.parent).load("small", 2).manifest.version == 2


@pytest.mark.parametrize("forget", [False, True])
def test_the_number_of_a_withdrawn_version_is_not_used_again(model_dir: Path, forget: bool) -> None:
    withdrawal.withdraw(model_dir, 3)
    if forget:  # a mark that was lost, as when a folder is copied without hidden files
        (model_dir / ".last-version-3").unlink()
    assert publish_next(model_dir) == 4
    withdrawal.restore(model_dir, 3)
    assert states(model_dir) == ([1, 2, 3, 4], [])
    assert publish_next(model_dir) == 5


def test_the_number_of_a_deleted_version_is_not_used_again(model_dir: Path) -> None:
    withdrawal.delete(withdrawal.withdraw(model_dir, 3))
    withdrawal.delete(model_dir / "2")
    assert states(model_dir) == ([1], [])
    assert publish_next(model_dir) == 4
    withdrawal.delete(model_dir / "4")
    assert publish_next(model_dir) == 5


def test_withdrawals_repeat(model_dir: Path) -> None:
    for version in (3, 2):
        withdrawal.withdraw(model_dir, version)
    assert states(model_dir) == ([1], [2, 3])
    assert publish_next(model_dir) == 4
    for version in (2, 3):
        withdrawal.restore(model_dir, version)
    assert states(model_dir) == ([1, 2, 3, 4], [])


@pytest.mark.parametrize("file", [False, True])
def test_nothing_is_replaced(model_dir: Path, file: bool) -> None:
    target = model_dir / ".withdrawn-3"
    target.touch() if file else target.mkdir()
    assert artifact_error(withdrawal.withdraw, model_dir, 3) == (
        f"{target} exists already; move it out of the models folder"
    )
    withdrawal.withdraw(model_dir, 2)
    publish(model_dir.parent, "small", 2)
    assert artifact_error(withdrawal.restore, model_dir, 2) == (
        f"{model_dir / '2'} exists already; move it out of the models folder"
    )


def test_a_version_that_is_gone(model_dir: Path) -> None:
    for call in (withdrawal.withdraw, withdrawal.restore):
        folder = model_dir / ("7" if call is withdrawal.withdraw else ".withdrawn-7")
        assert artifact_error(call, model_dir, 7) == (
            f"{folder} is gone: another process moved or deleted it; see: mlp-models list"
        )


def test_a_version_that_is_a_link(model_dir: Path) -> None:
    (model_dir / "3").rename(model_dir.parent / ".data")
    (model_dir / "3").symlink_to(Path("..") / ".data")
    hidden = withdrawal.withdraw(model_dir, 3)
    assert artifact.read(hidden).manifest.version == 3
    withdrawal.delete(hidden)
    assert not os.path.lexists(hidden)
    assert (model_dir.parent / ".data" / artifact.MODEL).exists()


def test_each_rename_is_synced(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    sync, rename = os.fsync, Path.rename

    def recording_sync(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def recording_rename(path: Path, target: Path) -> Path:
        done.append(target.name)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_sync)
    monkeypatch.setattr(Path, "rename", recording_rename)
    folder = model_dir.stat().st_ino
    withdrawal.withdraw(model_dir, 3)
    assert done == [folder, ".withdrawn-3", folder]  # the mark of the number first
    withdrawal.restore(model_dir, 3)
    assert done[3:] == ["3", folder]
    withdrawal.delete(model_dir / "1")
    assert done[5:] == [folder, ".deleting-1", folder]


# Runs code in another process, with the model's folder in `model_dir`.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from service import withdrawal
from service.manifest import ArtifactError
model_dir = Path(sys.argv[1])
"""

# Kills the process at its n-th change of the disk.
KILLED = """
left = {left}
def hook(event, arguments):
    global left
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir") or (event == "open" and arguments[2] & os.O_CREAT):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""


def program(model_dir: Path, code: str, **pipes: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM + code, str(model_dir)], text=True, **pipes)


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("withdrawal.withdraw(model_dir, 3)", ([1, 2, 3], []), ([1, 2], [3])),
        ("withdrawal.delete(model_dir / '1')", ([1, 2, 3], []), ([2, 3], [])),
    ],
)
def test_a_kill_at_any_moment_leaves_whole_versions(
    model_dir: Path, tmp_path: Path, code: str, before: object, after: object
) -> None:
    moments = 0
    for moment in range(40):
        copy = tmp_path / str(moment) / "small"
        shutil.copytree(model_dir, copy)
        process = program(copy, KILLED.format(left=moment) + code)
        assert process.wait(PATIENCE_S) in {0, -signal.SIGKILL}
        assert states(copy) in (before, after)
        for version in artifact.versions(copy):
            assert artifact.read(copy / str(version)).manifest.version == version
        for version in artifact.withdrawn_versions(copy):
            assert artifact.read(copy / f".withdrawn-{version}").manifest.version == version
        withdrawal.remove_leftovers(copy)
        assert list(copy.glob(".deleting-*")) == []
        assert publish_next(copy) == 4
        if process.returncode == 0:
            assert states(copy)[1] == after[1]  # type: ignore[index]
            break
        moments += 1
    assert moments >= 2


def test_a_deletion_that_was_interrupted_can_be_repeated(model_dir: Path) -> None:
    shutil.copytree(model_dir / "1", model_dir / ".deleting-1")
    withdrawal.delete(model_dir / "1")
    assert states(model_dir) == ([2, 3], [])
    assert list(model_dir.glob(".deleting-*")) == []


def test_one_command_at_a_time(model_dir: Path) -> None:
    holder = program(
        model_dir,
        "with withdrawal.locked(model_dir):\n print('locked', flush=True)\n sys.stdin.readline()",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"

    def lock() -> None:
        with withdrawal.locked(model_dir):
            pass

    message = "another command is changing the versions of small; wait for it to end, and try again"
    assert artifact_error(lock) == message
    holder.kill()  # releases the lock
    holder.communicate()
    lock()


def test_a_file_system_without_locks(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    with withdrawal.locked(model_dir):
        withdrawal.withdraw(model_dir, 3)
    assert states(model_dir) == ([1, 2], [3])


@pytest.fixture
def read_only(model_dir: Path) -> Iterator[Path]:
    """The model in a folder that every user can enter and nobody but root can write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = shutil.copytree(model_dir, Path(folder) / "small")
        copy.chmod(0o555)
        yield copy
        copy.chmod(0o755)


def as_nobody(folder: Path, call: str) -> str:
    """What the `ArtifactError` of ``call`` says to a user without rights."""
    nobody = "os.setuid(65534)\n" if os.getuid() == 0 else ""
    code = f"{nobody}try:\n {call}\nexcept ArtifactError as error:\n print(error)"
    out, _ = program(folder, code, stdout=subprocess.PIPE).communicate(timeout=PATIENCE_S)
    return out.strip()


@pytest.mark.parametrize(
    "call",
    [
        "withdrawal.withdraw(model_dir, 3)",
        "withdrawal.locked(model_dir).__enter__()",
        "withdrawal.delete(model_dir / '1')",
    ],
)
def test_a_folder_that_cannot_be_written(read_only: Path, call: str) -> None:
    assert as_nobody(read_only, call) == (
        f"{read_only} cannot be changed: Permission denied; run this where the models folder can be written, as a user "
        "who may write there"
    )
    assert states(read_only) == ([1, 2, 3], [])


def test_an_error_inside_a_lock_releases_it(model_dir: Path) -> None:
    def fail() -> None:
        with withdrawal.locked(model_dir):
            raise ArtifactError("inside")

    assert artifact_error(fail) == "inside"
    with withdrawal.locked(model_dir):
        pass


def test_publishing_needs_no_lock(model_dir: Path) -> None:
    publishing: Callable[[Path], int] = publish_next
    with withdrawal.locked(model_dir):
        assert publishing(model_dir) == 4
