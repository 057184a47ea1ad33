"""Publishing: after any error, kill or race, a version is complete or does not exist."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from service import artifact, artifact_writer
from service.manifest import Manifest
from tests.service.errors import artifact_error

OTHER_FILES = {"README.md": b"# A model", "curve.png": b"\x89PNG", "example.png": b"\x89PNG"}


def republished(version_dir: Path, name: str = "again") -> Callable[[int], tuple[Manifest, Mapping[str, bytes]]]:
    """An argument of `artifact_writer.publish`: a model like the one in ``version_dir``."""
    read = artifact.read(version_dir)
    files = {artifact.MODEL: read.model, artifact.GOLDEN: read.golden, artifact.EXAMPLE: read.example}
    return lambda version: (dataclasses.replace(read.manifest, name=name, version=version), files | OTHER_FILES)


def test_each_publication_is_the_next_version(version_dir: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "new" / "models"
    offered = []
    make = republished(version_dir)

    def make_and_record(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        offered.append(version)
        return make(version)

    (models_dir / "again" / "7").mkdir(parents=True)
    for version in (8, 9):
        assert artifact_writer.publish(models_dir, "again", make_and_record) == models_dir / "again" / str(version)
    assert offered == [8, 9]


def test_a_published_version_is_read_back_and_every_file_is_hashed(version_dir: Path, tmp_path: Path) -> None:
    make = republished(version_dir)
    manifest, files = make(1)
    folder = artifact_writer.publish(tmp_path / "new", "again", make)
    read = artifact.read(folder)
    hashes = {name: artifact.sha256(content) for name, content in files.items()}
    assert read.manifest == dataclasses.replace(manifest, files=hashes)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != artifact.MANIFEST} == files
    assert hidden(tmp_path / "new") == [".last-version-1"]


def hidden(models_dir: Path) -> list[str]:
    return sorted(path.name for path in models_dir.rglob(".*"))


def test_a_number_is_never_used_twice(version_dir: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "new"
    make = republished(version_dir)

    def publish() -> int:
        return int(artifact_writer.publish(models_dir, "again", make).name)

    def delete(*numbers: int) -> None:
        for number in numbers:
            shutil.rmtree(models_dir / "again" / str(number))

    assert [publish(), publish()] == [1, 2]
    delete(2)
    assert publish() == 3
    delete(1, 3)
    assert publish() == 4
    assert artifact.versions(models_dir / "again") == [4]
    assert hidden(models_dir) == [".last-version-4"]
    # Without a mark, the highest version decides. Other hidden files are not marks.
    (models_dir / "again" / ".last-version-4").unlink()
    for number in ("", "x", "09", "4.5", "9" * 19):
        (models_dir / "again" / f".last-version-{number}").touch()
    assert publish() == 5
    # So does a version made by hand, and a mark that is a folder.
    (models_dir / "again" / "8").mkdir()
    assert publish() == 9
    (models_dir / "again" / ".last-version-20").mkdir()
    assert publish() == 21


def test_a_folder_without_numbers_left_is_reported(version_dir: Path, tmp_path: Path) -> None:
    make, models_dir = republished(version_dir), tmp_path / "new"
    artifact_writer.publish(models_dir, "again", make)
    (models_dir / "again" / f".last-version-{10**18 - 1}").touch()
    assert artifact_error(artifact_writer.publish, models_dir, "again", make) == (
        f"{models_dir / 'again'} has no version number left; choose another name"
    )


def test_an_overtaken_publisher_uses_a_higher_number_even_if_its_own_is_free_again(
    version_dir: Path, tmp_path: Path
) -> None:
    """1. A publisher is offered 2. 2. Others publish 2 and 3, and 2 is deleted. 3. The first gets 4."""
    make, models_dir = republished(version_dir), tmp_path / "new"
    artifact_writer.publish(models_dir, "again", make)
    offered: list[int] = []

    def make_slowly(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        offered.append(version)
        if len(offered) == 1:
            for number in (2, 3):
                assert artifact_writer.publish(models_dir, "again", make).name == str(number)
            shutil.rmtree(models_dir / "again" / "2")
        return make(version)

    assert artifact_writer.publish(models_dir, "again", make_slowly).name == "4"
    assert offered == [2, 4]
    assert hidden(models_dir) == [".last-version-4"]


@pytest.mark.parametrize("earlier", [0, 1])
def test_everything_is_synced_before_the_rename(
    version_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    make, models_dir = republished(version_dir), tmp_path / "new"
    for _ in range(earlier):
        artifact_writer.publish(models_dir, "again", make)
    done: list[object] = []
    sync, rename = os.fsync, Path.rename

    def recording_sync(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def recording_rename(path: Path, target: Path) -> Path:
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_sync)
    monkeypatch.setattr(Path, "rename", recording_rename)
    folder = artifact_writer.publish(models_dir, "again", make)
    placed = folder if earlier else folder.parent
    before, after = done[: done.index(placed)], done[done.index(placed) + 1 :]
    assert set(before) == {path.stat().st_ino for path in (placed, folder, *folder.iterdir())}
    assert after == [placed.parent.stat().st_ino]


def test_a_published_folder_has_the_usual_permissions(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    folder = artifact_writer.publish(tmp_path / "new", "again", republished(version_dir))
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [usual, usual]


def test_an_invalid_model_is_not_published(version_dir: Path, tmp_path: Path) -> None:
    make, models_dir = republished(version_dir), tmp_path / "new"
    manifest, files = make(1)
    for made, fault in (
        ((dataclasses.replace(manifest, version=2), files), "is of model 'again' version 2, but lies in the folder of"),
        (
            (dataclasses.replace(manifest, name="else"), files),
            "is of model 'else' version 1, but lies in the folder of",
        ),
        (
            (dataclasses.replace(manifest, classes=("a",)), files),
            "'classes' is ['a'], expected two or more distinct labels",
        ),
        ((dataclasses.replace(manifest, format=3), files), "'format' is 3, and this release reads up to 2"),
        ((manifest, {artifact.MODEL: b"", artifact.GOLDEN: b""}), "would be published without example.json"),
    ):
        assert fault in artifact_error(artifact_writer.publish, models_dir, "again", lambda _version, made=made: made)
    assert "model name '../again'" in artifact_error(artifact_writer.publish, models_dir, "../again", make)
    assert not models_dir.exists()


def test_an_error_in_make_leaves_nothing(version_dir: Path, tmp_path: Path) -> None:
    artifact_writer.publish(tmp_path / "new", "again", republished(version_dir))

    def make(_version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        raise KeyboardInterrupt

    before = sorted((tmp_path / "new").rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        artifact_writer.publish(tmp_path / "new", "again", make)
    assert sorted((tmp_path / "new").rglob("*")) == before


def test_a_model_folder_with_a_bad_version_is_not_published_to(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "again" / "v2").mkdir(parents=True)
    assert "not 'v2'" in artifact_error(artifact_writer.publish, tmp_path / "new", "again", republished(version_dir))


# Publishes in another process, after running the code in the last argument.
PUBLISHER = """
import dataclasses, os, resource, signal, sys
from pathlib import Path
from service import artifact, artifact_writer
from service.manifest import ArtifactError

source, models_dir, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
read = artifact.read(source)
files = {artifact.MODEL: read.model, artifact.GOLDEN: read.golden, artifact.EXAMPLE: read.example}

def make(version):
    return dataclasses.replace(read.manifest, name="again", version=version, seed=os.getpid()), files

exec(sys.argv[4])
for _ in range(count):
    try:
        print(artifact_writer.publish(models_dir, "again", make).name, flush=True)
    except ArtifactError as error:
        sys.exit(f"ArtifactError: {error}")
"""


def publisher(source: Path, models_dir: Path, count: int = 1, first: str = "") -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PUBLISHER, str(source), str(models_dir), str(count), first]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_racing_publishers_write_different_complete_versions(version_dir: Path, tmp_path: Path) -> None:
    # All wait for a common start, then each publishes 15 times.
    ready = "sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.readline()"
    arguments = [sys.executable, "-c", PUBLISHER, str(version_dir), str(tmp_path / "new"), "15", ready]
    racers = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
    published = {racer.pid: [int(line) for line in racer.communicate()[0].split()] for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    numbers = [version for versions in published.values() for version in versions]
    assert len(set(numbers)) == len(numbers) == 45
    for pid, versions in published.items():
        for version in versions:
            assert artifact.read(tmp_path / "new" / "again" / str(version)).manifest.seed == pid
    assert hidden(tmp_path / "new") == [f".last-version-{max(numbers)}"]


# Kills the process at its n-th folder, file or rename.
KILLED = """
left = {left}
def hook(event, arguments):
    global left
    if event in ("os.mkdir", "open", "os.rename"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_kill_at_any_moment_leaves_no_partial_version(version_dir: Path, tmp_path: Path, earlier: int) -> None:
    moments = 0
    for moment in range(100):
        models_dir = tmp_path / str(moment)
        make = republished(version_dir)
        for _ in range(earlier):
            artifact_writer.publish(models_dir, "again", make)
        process = publisher(version_dir, models_dir, first=KILLED.format(left=moment))
        out, error = process.communicate()
        there = artifact.model_names(models_dir) if models_dir.exists() else []
        versions = [
            artifact.read(models_dir / name / str(v)).manifest.version
            for name in there
            for v in artifact.versions(models_dir / name)
        ]
        assert there == (["again"] if versions else [])
        if process.returncode == 0:
            assert (out, versions) == (f"{earlier + 1}\n", list(range(1, earlier + 2)))
            break
        assert (process.returncode, error) == (-signal.SIGKILL, "")
        assert versions in (list(range(1, earlier + 1)), list(range(1, earlier + 2)))
        moments += 1
        # Whatever it left, the next one can publish.
        number = int(artifact_writer.publish(models_dir, "again", make).name)
        assert number in (len(versions) + 1, earlier + 2)  # a marked number is skipped even if unused
    assert moments >= 7  # a folder, four files, a rename, and the sync after it


@pytest.fixture
def common_dir() -> Iterator[Path]:
    """A folder that every user of the machine can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_folder_is_one_clear_error(version_dir: Path, common_dir: Path) -> None:
    models_dir = common_dir / "models"
    models_dir.mkdir(mode=0o555)
    nobody = "os.setuid(65534)" if os.getuid() == 0 else ""  # root may write anywhere
    process = publisher(version_dir, models_dir, first=nobody)
    assert process.communicate() == (
        "",
        f"ArtifactError: {models_dir / 'again'} cannot be written: Permission denied; free some space, "
        "allow writing there, or choose another models folder\n",
    )
    assert process.returncode == 1
    assert list(models_dir.iterdir()) == []


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(version_dir: Path, tmp_path: Path) -> None:
    full = "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    process = publisher(version_dir, tmp_path / "new", first=full)
    assert process.communicate() == (
        "",
        f"ArtifactError: {tmp_path / 'new' / 'again'} cannot be written: File too large; free some space, allow "
        "writing there, or choose another models folder\n",
    )
    assert list((tmp_path / "new").iterdir()) == []


def test_a_models_folder_that_is_a_file_is_one_clear_error(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert artifact_error(artifact_writer.publish, tmp_path / "file", "again", republished(version_dir)) == (
        f"model folder '{tmp_path / 'file' / 'again'}' cannot be read: Not a directory"
    )
