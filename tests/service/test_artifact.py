"""The published model: what is written is read, whatever is damaged is refused, and a version is whole or not there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from service import artifact
from service.manifest import Manifest
from tests.service.published import TABLE, rewrite
from tests.service.refused import refusal

OTHER_FILES = {"README.md": b"# A model", "curve.png": b"\x89PNG", "example.png": b"\x89PNG"}


def republished(version_dir: Path, name: str = "again") -> Callable[[int], tuple[Manifest, Mapping[str, bytes]]]:
    """What `artifact.publish` takes to publish another model like the one in ``version_dir``."""
    read = artifact.read(version_dir)
    files = {artifact.MODEL: read.model, artifact.GOLDEN: read.golden, artifact.EXAMPLE: read.example}
    return lambda version: (dataclasses.replace(read.manifest, name=name, version=version), files | OTHER_FILES)


# Reading


def test_what_the_service_runs_on_is_read(version_dir: Path) -> None:
    read = artifact.read(version_dir)
    assert read.model == (version_dir / artifact.MODEL).read_bytes()
    assert read.golden == (version_dir / artifact.GOLDEN).read_bytes()
    assert read.example == (version_dir / artifact.EXAMPLE).read_bytes()
    assert read.model_int8 is None
    assert (read.manifest.name, read.manifest.version, read.manifest.features) == ("table", 1, TABLE)


def test_the_int8_graph_is_read_where_the_manifest_lists_it(version_dir: Path) -> None:
    (version_dir / artifact.MODEL_INT8).write_bytes(b"int8")
    assert artifact.read(version_dir).model_int8 is None
    rewrite(version_dir, lambda document: document["files"].update({artifact.MODEL_INT8: artifact.sha256(b"int8")}))
    assert artifact.read(version_dir).model_int8 == b"int8"


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_a_file_that_changed_is_refused(version_dir: Path, name: str) -> None:
    path = version_dir / name
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"\0", bytes([content[0] ^ 1]) + content[1:], b""):
        path.write_bytes(damaged)
        assert refusal(artifact.read, version_dir) == (
            f"{path} ({len(damaged)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            "metadata.json; copy the version again, or publish it anew"
        )


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_a_file_that_is_gone_or_was_never_listed_is_refused(version_dir: Path, name: str) -> None:
    (version_dir / name).unlink()
    assert refusal(artifact.read, version_dir) == (
        f"{version_dir / name} cannot be read: No such file or directory; publish the model again"
    )
    rewrite(version_dir, lambda document: document["files"].pop(name))
    assert refusal(artifact.read, version_dir) == (
        f"{version_dir / artifact.MANIFEST}: 'files' does not list {name}; publish the model again"
    )


def outside(models_dir: Path) -> Path:
    folder = models_dir.with_name("elsewhere")
    folder.mkdir(exist_ok=True)
    return folder


def test_links_within_the_models_folder_are_followed_as_kubernetes_makes_them(version_dir: Path) -> None:
    """A ConfigMap's files are links to ..data/name, which is a link to the folder of the day."""
    whole = artifact.read(version_dir)
    (version_dir / "..2026_01_01").mkdir()
    (version_dir / "..data").symlink_to("..2026_01_01")
    for name in (artifact.MANIFEST, *artifact.REQUIRED):
        (version_dir / name).rename(version_dir / "..2026_01_01" / name)
        (version_dir / name).symlink_to(Path("..data") / name)
    assert artifact.read(version_dir) == whole
    # and where the folder as a whole is mounted, the models are links
    models_dir = version_dir.parent.parent
    (models_dir / "..2026_01_01").mkdir()
    (models_dir / "..data").symlink_to("..2026_01_01")
    version_dir.parent.rename(models_dir / "..data" / "table")
    (models_dir / "table").symlink_to("..data/table")
    assert artifact.model_names(models_dir) == ["table"]
    assert artifact.versions(models_dir / "table") == [1]
    assert artifact.read(version_dir) == whole
    # and a models folder may be a link itself
    link = models_dir.with_name("link")
    link.symlink_to(models_dir)
    assert artifact.read(link / "table" / "1") == whole


@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_a_file_that_lies_outside_is_not_read(version_dir: Path, name: str) -> None:
    models_dir, path = version_dir.parent.parent, version_dir / name
    moved = path.rename(outside(models_dir) / name)
    path.symlink_to(moved)
    assert refusal(artifact.read, version_dir) == (
        f"{path} leads to {moved}, outside the models folder '{models_dir}'; copy the version into it"
    )
    path.unlink()
    path.symlink_to("/dev/zero")
    assert f"{path} leads to /dev/zero, outside the models folder" in refusal(artifact.read, version_dir)


@pytest.mark.parametrize("level", [0, 1])
def test_a_folder_that_lies_outside_is_not_read(version_dir: Path, level: int) -> None:
    models_dir, folder = version_dir.parent.parent, (version_dir, version_dir.parent)[level]
    moved = folder.rename(outside(models_dir) / folder.name)
    folder.symlink_to(moved)
    assert artifact.model_names(models_dir) == ["table"]
    assert artifact.versions(models_dir / "table") == [1]
    assert f"{version_dir / artifact.MANIFEST} leads to {moved}" in refusal(artifact.read, version_dir)


@pytest.mark.parametrize("target", ["nowhere", "1", "loop"])
@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_a_link_to_no_file_is_told_of(version_dir: Path, name: str, target: str) -> None:
    path = version_dir / name
    path.unlink()
    (version_dir / "1").mkdir()
    (version_dir / "loop").symlink_to("loop")
    path.symlink_to(target)
    said = {
        "nowhere": f"{path} (a link to 'nowhere') cannot be read: No such file or directory",
        "1": f"{path} is a folder, expected a file",
        "loop": f"{path} (a link to 'loop') cannot be read: Too many levels of symbolic links",
    }
    assert refusal(artifact.read, version_dir) == f"{said[target]}; publish the model again"


@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_what_is_no_file_is_told_of_and_not_waited_for(version_dir: Path, name: str) -> None:
    path = version_dir / name
    path.unlink()
    os.mkfifo(path)
    assert refusal(artifact.read, version_dir) == f"{path} is a pipe, expected a file; publish the model again"
    path.unlink()
    path.mkdir()
    assert refusal(artifact.read, version_dir) == f"{path} is a folder, expected a file; publish the model again"


@pytest.mark.parametrize("name", [artifact.MANIFEST, artifact.MODEL_INT8, *artifact.REQUIRED])
def test_no_file_larger_than_its_bound_is_read(version_dir: Path, name: str) -> None:
    path = version_dir / name
    rewrite(version_dir, lambda document: document["files"].update({artifact.MODEL_INT8: "0"}))
    bound = 2**30 if name in {artifact.MODEL, artifact.MODEL_INT8} else 2**26
    with path.open("ab") as file:
        file.truncate(bound + 1)
    tracemalloc.start()
    try:
        message = refusal(artifact.read, version_dir)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message == (
        f"{path} has {bound + 1:,} bytes, expected {bound:,} at most; copy the version again, or publish it anew"
    )
    assert peak_bytes < 2**22


def test_a_file_that_has_more_than_it_says_is_not_read_on(version_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of /proc, which are of 0 bytes; or one that grows."""
    stated = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        found = list(stated(descriptor))
        found[stat.ST_SIZE] = 0
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", smaller)
    assert refusal(artifact.read, version_dir) == (
        f"{version_dir / artifact.MANIFEST} grew while it was read; start again when the version is whole"
    )


# Names and folders


@pytest.mark.parametrize("name", ["a", "Z9", "fashion-mnist", "a.b_c-1", "1", "x" * 128])
def test_a_name_that_is_safe_in_paths_and_urls_is_taken(name: str) -> None:
    assert artifact.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "../a", "a\\b", "a b", "a%2f", "ä", "a\n", "a\0", "x" * 129]
)
def test_any_other_name_is_refused(name: str) -> None:
    assert refusal(artifact.check_name, name) == (
        f"model name {name!r}: a name has 1 to 128 letters, digits, '.', '_' and '-', and begins with a letter or a "
        "digit"
    )


def test_models_are_the_folders_that_are_not_hidden(tmp_path: Path) -> None:
    for folder in ("b", "a", ".publishing-1"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").touch()
    (tmp_path / "lost+found").mkdir()  # as at the root of a volume
    assert artifact.model_names(tmp_path) == ["a", "b"]
    (tmp_path / "my model").mkdir()
    assert "model name 'my model'" in refusal(artifact.model_names, tmp_path)


def test_a_link_that_leads_nowhere_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for parent, read in ((tmp_path, artifact.model_names), (tmp_path / "m", artifact.versions)):
        (parent / ".hidden").symlink_to("nowhere")
        (parent / "file").touch()
        (parent / "7").symlink_to("file")  # to a file: passed over as one
        assert read(parent) == [each for each in ("m",) if parent == tmp_path]
        (parent / "8").symlink_to("nowhere")
        assert refusal(read, parent) == (
            f"{parent / '8'} is a link to 'nowhere', which cannot be followed: No such file or directory; mend the "
            "link, or remove it"
        )
        (parent / "8").unlink()
        (parent / "8").symlink_to("8")
        assert "which cannot be followed: Too many levels of symbolic links; mend" in refusal(read, parent)
        (parent / "8").unlink()
    (tmp_path / "n").symlink_to("nowhere")
    assert refusal(artifact.versions, tmp_path / "n") == (
        f"model folder '{tmp_path / 'n'}' cannot be read: No such file or directory"
    )


def test_a_models_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(artifact.model_names, tmp_path / "no") == (
        f"models folder '{tmp_path / 'no'}' cannot be read: No such file or directory"
    )


def test_versions_are_in_the_order_of_numbers_and_hidden_folders_and_files_are_none(tmp_path: Path) -> None:
    for folder in ("9", "10", "1", ".publishing-1"):
        (tmp_path / folder).mkdir()
    (tmp_path / "11").touch()
    assert artifact.versions(tmp_path) == [1, 9, 10]
    assert artifact.versions(tmp_path / "no") == []


@pytest.mark.parametrize("name", ["v2", "0", "01", "-1", "1.0", "\u0661", "1" * 19])
def test_a_folder_that_is_no_version_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert refusal(artifact.versions, tmp_path) == (
        f"{tmp_path / name}: a version folder is named by a positive integer such as '1', not {name!r}; "
        "rename it, or move it out of the models folder"
    )


def test_a_model_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    assert refusal(artifact.versions, tmp_path / "m") == (
        f"model folder '{tmp_path / 'm'}' cannot be read: Not a directory"
    )


# Publishing


def test_each_publication_is_the_next_version(version_dir: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "new" / "models"
    told = []
    make = republished(version_dir)

    def make_and_tell(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        told.append(version)
        return make(version)

    (models_dir / "again" / "7").mkdir(parents=True)
    for version in (8, 9):
        assert artifact.publish(models_dir, "again", make_and_tell) == models_dir / "again" / str(version)
    assert told == [8, 9]


def test_what_is_published_is_read_and_every_file_is_hashed(version_dir: Path, tmp_path: Path) -> None:
    make = republished(version_dir)
    manifest, files = make(1)
    folder = artifact.publish(tmp_path / "new", "again", make)
    read = artifact.read(folder)
    hashes = {name: artifact.sha256(content) for name, content in files.items()}
    assert read.manifest == dataclasses.replace(manifest, files=hashes)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != artifact.MANIFEST} == files
    assert hidden(tmp_path / "new") == [".last-version-1"]


def hidden(models_dir: Path) -> list[str]:
    return sorted(path.name for path in models_dir.rglob(".*"))


def test_a_number_is_never_given_twice(version_dir: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "new"
    make = republished(version_dir)

    def publish() -> int:
        return int(artifact.publish(models_dir, "again", make).name)

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
    # Lost, there is what the versions tell; what is no mark is none.
    (models_dir / "again" / ".last-version-4").unlink()
    for number in ("", "x", "09", "4.5", "9" * 19):
        (models_dir / "again" / f".last-version-{number}").touch()
    assert publish() == 5
    # A version put there by hand counts, too, and so does a mark of whatever kind.
    (models_dir / "again" / "8").mkdir()
    assert publish() == 9
    (models_dir / "again" / ".last-version-20").mkdir()
    assert publish() == 21


def test_a_folder_without_numbers_left_is_told_of(version_dir: Path, tmp_path: Path) -> None:
    make, models_dir = republished(version_dir), tmp_path / "new"
    artifact.publish(models_dir, "again", make)
    (models_dir / "again" / f".last-version-{10**18 - 1}").touch()
    assert refusal(artifact.publish, models_dir, "again", make) == (
        f"{models_dir / 'again'} has no number left for a version; choose another name"
    )


def test_who_was_overtaken_takes_a_higher_number_though_its_own_is_free_again(
    version_dir: Path, tmp_path: Path
) -> None:
    """1. One looks for a number, and finds 2. 2. Others publish 2 and 3, and 2 is deleted. 3. It is not given again."""
    make, models_dir = republished(version_dir), tmp_path / "new"
    artifact.publish(models_dir, "again", make)
    told: list[int] = []

    def make_slowly(version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        told.append(version)
        if len(told) == 1:
            for number in (2, 3):
                assert artifact.publish(models_dir, "again", make).name == str(number)
            shutil.rmtree(models_dir / "again" / "2")
        return make(version)

    assert artifact.publish(models_dir, "again", make_slowly).name == "4"
    assert told == [2, 4]
    assert hidden(models_dir) == [".last-version-4"]


@pytest.mark.parametrize("earlier", [0, 1])
def test_all_of_it_is_on_the_disk_before_it_takes_its_place(
    version_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    make, models_dir = republished(version_dir), tmp_path / "new"
    for _ in range(earlier):
        artifact.publish(models_dir, "again", make)
    done: list[object] = []
    sync, rename = os.fsync, Path.rename

    def told_sync(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def told_rename(path: Path, target: Path) -> Path:
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", told_sync)
    monkeypatch.setattr(Path, "rename", told_rename)
    folder = artifact.publish(models_dir, "again", make)
    placed = folder if earlier else folder.parent
    before, after = done[: done.index(placed)], done[done.index(placed) + 1 :]
    assert set(before) == {path.stat().st_ino for path in (placed, folder, *folder.iterdir())}
    assert after == [placed.parent.stat().st_ino]


def test_a_published_folder_has_the_rights_of_any_other_new_one(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    folder = artifact.publish(tmp_path / "new", "again", republished(version_dir))
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [usual, usual]


def test_what_the_service_would_refuse_is_not_published(version_dir: Path, tmp_path: Path) -> None:
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
        ((dataclasses.replace(manifest, format=2), files), "'format' is 2, and this release reads up to 1"),
        ((manifest, {artifact.MODEL: b"", artifact.GOLDEN: b""}), "would be published without example.json"),
    ):
        assert fault in refusal(artifact.publish, models_dir, "again", lambda _version, made=made: made)
    assert "model name '../again'" in refusal(artifact.publish, models_dir, "../again", make)
    assert not models_dir.exists()


def test_an_error_while_it_is_made_leaves_nothing(version_dir: Path, tmp_path: Path) -> None:
    artifact.publish(tmp_path / "new", "again", republished(version_dir))

    def make(_version: int) -> tuple[Manifest, Mapping[str, bytes]]:
        raise KeyboardInterrupt

    before = sorted((tmp_path / "new").rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        artifact.publish(tmp_path / "new", "again", make)
    assert sorted((tmp_path / "new").rglob("*")) == before


def test_a_folder_that_names_no_version_is_not_published_into(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "again" / "v2").mkdir(parents=True)
    assert "not 'v2'" in refusal(artifact.publish, tmp_path / "new", "again", republished(version_dir))


# Publishing in a process of its own: in a race, killed, and where it may not write. `{before}` is what happens first.
PUBLISHER = """
import dataclasses, os, resource, signal, sys
from pathlib import Path
from service import artifact
from service.manifest import ArtifactError

source, models_dir, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
read = artifact.read(source)
files = {artifact.MODEL: read.model, artifact.GOLDEN: read.golden, artifact.EXAMPLE: read.example}

def make(version):
    return dataclasses.replace(read.manifest, name="again", version=version, seed=os.getpid()), files

exec(sys.argv[4])
for _ in range(count):
    try:
        print(artifact.publish(models_dir, "again", make).name, flush=True)
    except ArtifactError as error:
        sys.exit(f"ArtifactError: {error}")
"""


def publisher(source: Path, models_dir: Path, count: int = 1, first: str = "") -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PUBLISHER, str(source), str(models_dir), str(count), first]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_publishers_in_a_race_take_different_versions_and_each_is_whole(version_dir: Path, tmp_path: Path) -> None:
    # Each waits for the other to stand at the start; then 15 times each runs for the next number.
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
    taken = {racer.pid: [int(line) for line in racer.communicate()[0].split()] for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    numbers = [version for versions in taken.values() for version in versions]
    assert len(set(numbers)) == len(numbers) == 45
    for pid, versions in taken.items():
        for version in versions:
            assert artifact.read(tmp_path / "new" / "again" / str(version)).manifest.seed == pid
    assert hidden(tmp_path / "new") == [f".last-version-{max(numbers)}"]


# Dies as it comes to its n-th folder, file or rename.
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
def test_a_kill_at_any_moment_leaves_no_half_version(version_dir: Path, tmp_path: Path, earlier: int) -> None:
    moments = 0
    for moment in range(100):
        models_dir = tmp_path / str(moment)
        make = republished(version_dir)
        for _ in range(earlier):
            artifact.publish(models_dir, "again", make)
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
        # What it left is in nobody's way.
        number = int(artifact.publish(models_dir, "again", make).name)
        assert number in (len(versions) + 1, earlier + 2)  # one that was claimed and not used is left out
    assert moments >= 7  # a folder, four files, a rename, and the sync after it


@pytest.fixture
def common_dir() -> Iterator[Path]:
    """A folder that every user of the machine can come to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_where_it_may_not_write_is_one_clear_error(version_dir: Path, common_dir: Path) -> None:
    models_dir = common_dir / "models"
    models_dir.mkdir(mode=0o555)
    nobody = "os.setuid(65534)" if os.getuid() == 0 else ""  # root may write anywhere
    process = publisher(version_dir, models_dir, first=nobody)
    assert process.communicate() == (
        "",
        f"ArtifactError: {models_dir / 'again'} cannot be written: Permission denied; make room, give the right to "
        "write there, or name another models folder\n",
    )
    assert process.returncode == 1
    assert list(models_dir.iterdir()) == []


def test_a_disk_that_takes_no_more_is_one_clear_error_and_leaves_nothing(version_dir: Path, tmp_path: Path) -> None:
    full = "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    process = publisher(version_dir, tmp_path / "new", first=full)
    assert process.communicate() == (
        "",
        f"ArtifactError: {tmp_path / 'new' / 'again'} cannot be written: File too large; make room, give the right to "
        "write there, or name another models folder\n",
    )
    assert list((tmp_path / "new").iterdir()) == []


def test_a_models_folder_that_is_a_file_is_one_clear_error(version_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(artifact.publish, tmp_path / "file", "again", republished(version_dir)) == (
        f"model folder '{tmp_path / 'file' / 'again'}' cannot be read: Not a directory"
    )
