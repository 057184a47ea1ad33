"""The published model: what is written is read, whatever is damaged is refused, and a version is whole or not there."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import artifact
from service.artifact import ArtifactError, Feature, Manifest
from tests.service.published import TABLE, publish

OTHER_FILES = {"README.md": b"# A model", "curve.png": b"\x89PNG", "example.png": b"\x89PNG"}


@pytest.fixture
def version_dir(tmp_path: Path) -> Path:
    publish(tmp_path / "models", "table", features=TABLE)
    return tmp_path / "models" / "table" / "1"


def message(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ArtifactError) as caught:
        call(*arguments)
    return str(caught.value)


def rewrite(version_dir: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = version_dir / artifact.MANIFEST
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


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
        assert message(artifact.read, version_dir) == (
            f"{path} ({len(damaged)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            "metadata.json; copy the version again, or publish it anew"
        )


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_a_file_that_is_gone_or_was_never_listed_is_refused(version_dir: Path, name: str) -> None:
    (version_dir / name).unlink()
    assert message(artifact.read, version_dir) == (
        f"{version_dir / name} cannot be read: No such file or directory; publish the model again"
    )
    rewrite(version_dir, lambda document: document["files"].pop(name))
    assert message(artifact.read, version_dir) == (
        f"{version_dir / artifact.MANIFEST}: 'files' does not list {name}; publish the model again"
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"format": 1', "is not JSON: Expecting ',' delimiter: line 1 column 13 (char 12)"),
        (b'{"seed": NaN}', "is not JSON: NaN is no number in JSON"),
        (b'{"seed": -Infinity}', "is not JSON: -Infinity is no number in JSON"),
        (b"\xff\xfe\x00", "is not JSON: 'utf-16-le' codec can't decode byte 0x00 in position 2: truncated data"),
        (
            b"[" * 100_000,
            "is not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
        (b"[]", "is not a JSON object"),
    ],
)
def test_a_manifest_that_is_no_json_object_is_refused(version_dir: Path, content: bytes | None, fault: str) -> None:
    path = version_dir / artifact.MANIFEST
    path.unlink() if content is None else path.write_bytes(content)
    assert message(artifact.read_manifest, version_dir) == f"{path} {fault}; publish the model again"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 0}, "'format' is 0, expected a positive integer"),
        ({"format": "1"}, "'format' is '1', expected a positive integer"),
        ({"format": True}, "'format' is True, expected a positive integer"),
        ({"name": 3}, "'name' is 3, expected str"),
        ({"version": "1"}, "'version' is '1', expected int"),
        ({"version": True}, "'version' is True, expected int"),
        ({"git_commit": 7}, "'git_commit' is 7, expected str or NoneType"),
        ({"classes": "ab"}, "'classes' is 'ab', expected list"),
        ({"files": []}, "'files' is [], expected dict"),
        ({"task": "ranking"}, "'task' is 'ranking', expected 'classification' or 'regression'"),
        ({"classes": ["a"]}, "'classes' is ['a'], expected two or more labels that differ"),
        ({"classes": ["a", "a"]}, "'classes' is ['a', 'a'], expected two or more labels that differ"),
        ({"classes": ["a", 2]}, "'classes' is ['a', 2], expected two or more labels that differ"),
        ({"task": "regression"}, "'classes' is ['ape', 'bee', 'cat'], expected none, as the task is regression"),
        ({"targets": []}, "'targets' is [], expected one or more names that differ"),
        ({"targets": ["a", "a"]}, "'targets' is ['a', 'a'], expected one or more names that differ"),
        ({"targets": ["a", "b"]}, "'targets' is ['a', 'b'], expected one name, as the task is classification"),
        ({"features": []}, "'features' is [], expected one or more, with names that differ"),
        ({"features": [7]}, "'features'[0] is 7, expected an object"),
        ({"input_shape": []}, "'input_shape' is [], expected a shape that holds the 5 features"),
        ({"input_shape": [2, 2]}, "'input_shape' is [2, 2], expected a shape that holds the 5 features"),
        ({"input_shape": [-5, -1]}, "'input_shape' is [-5, -1], expected a shape that holds the 5 features"),
        ({"input_shape": [5.0]}, "'input_shape' is [5.0], expected a shape that holds the 5 features"),
        ({"input_dtype": "float64"}, "'input_dtype' is 'float64', expected 'uint8' or 'float32'"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(version_dir: Path, change: dict[str, Any], fault: str) -> None:
    rewrite(version_dir, lambda document: document.update(change))
    path = version_dir / artifact.MANIFEST
    assert message(artifact.read_manifest, version_dir) == f"{path}: {fault}; publish the model again"


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Manifest)])
def test_a_manifest_without_a_field_is_refused(version_dir: Path, key: str) -> None:
    rewrite(version_dir, lambda document: document.pop(key))
    if key in {"git_commit", "seed"}:  # null says the same
        assert getattr(artifact.read_manifest(version_dir), key) is None
    else:
        assert f"{key!r} is " in message(artifact.read_manifest, version_dir)


@pytest.mark.parametrize(
    ("feature", "change", "fault"),
    [
        (0, {"name": None}, "'name' is None, expected str"),
        (0, {"missing": 1}, "'missing' is 1, expected bool"),
        (0, {"mean": "0"}, "'mean' is '0', expected int or float"),
        (0, {"kind": "date"}, "'kind' is 'date', expected one of numeric, boolean, categorical"),
        (0, {"categories": ["a"]}, "'categories' is ['a'], expected none, as it is not categorical"),
        (2, {"other": True}, "'other' is True, expected false, as it is not categorical"),
        (3, {"categories": []}, "'categories' is [], expected one or more texts that differ"),
        (3, {"categories": ["a", "a"]}, "'categories' is ['a', 'a'], expected one or more texts that differ"),
        (3, {"categories": ["a", 1]}, "'categories' is ['a', 1], expected one or more texts that differ"),
        (3, {"categories": [["a"]]}, "'categories' is [['a']], expected one or more texts that differ"),
    ],
)
def test_a_manifest_with_a_wrong_feature_is_refused(
    version_dir: Path, feature: int, change: dict[str, Any], fault: str
) -> None:
    rewrite(version_dir, lambda document: document["features"][feature].update(change))
    path = version_dir / artifact.MANIFEST
    assert message(artifact.read_manifest, version_dir) == (
        f"{path}: 'features'[{feature}] {fault}; publish the model again"
    )


def test_two_features_of_one_name_are_refused(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document["features"][1].update(name="age"))
    assert "expected one or more, with names that differ" in message(artifact.read_manifest, version_dir)


def test_a_newer_format_is_refused_with_the_way_out_and_before_its_fields(version_dir: Path) -> None:
    path = version_dir / artifact.MANIFEST
    path.write_text('{"format": 2}')
    assert message(artifact.read_manifest, version_dir) == (
        f"{path}: 'format' is 2, and this release reads up to 1; install a newer mlp-serving, or publish the model "
        "with this one"
    )


def test_unknown_keys_are_passed_over_so_that_a_format_can_grow(version_dir: Path) -> None:
    before = artifact.read_manifest(version_dir)
    rewrite(version_dir, lambda document: (document.update(new=1), document["features"][0].update(new=1)))
    assert artifact.read_manifest(version_dir) == before


def test_a_version_in_the_wrong_folder_is_refused(version_dir: Path) -> None:
    moved = version_dir.parent / "2"
    version_dir.rename(moved)
    assert message(artifact.read, moved) == (
        f"{moved / artifact.MANIFEST} is of model 'table' version 1, but lies in the folder of 'table' version 2; "
        "move it to table/1"
    )


texts = st.text(max_size=5)
numbers = st.floats(allow_nan=False, allow_infinity=False)
labels = st.lists(texts, unique=True, max_size=4).map(tuple)


@st.composite
def features(draw: st.DrawFn) -> Feature:
    kind = draw(st.sampled_from(artifact.KINDS))
    categories = draw(labels.filter(bool)) if kind == "categorical" else ()
    other = kind == "categorical" and draw(st.booleans())
    statistics = (draw(numbers) for _ in range(4))
    return Feature(draw(texts), kind, draw(st.booleans()), categories, other, *statistics)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    columns = draw(st.lists(features(), min_size=1, max_size=4, unique_by=lambda feature: feature.name))
    task = draw(st.sampled_from((artifact.CLASSIFICATION, artifact.REGRESSION)))
    regression = task == artifact.REGRESSION
    return Manifest(
        format=artifact.FORMAT,
        name="m",
        version=draw(st.integers(1, 10**18 - 1)),
        task=task,
        classes=() if regression else draw(labels.filter(lambda each: len(each) >= 2)),
        targets=draw(labels.filter(lambda each: len(each) >= 1 if regression else len(each) == 1)),
        features=tuple(columns),
        input_shape=draw(st.sampled_from([(len(columns),), (1, len(columns)), (len(columns), 1)])),
        input_dtype=draw(st.sampled_from(["uint8", "float32"])),
        opset=draw(st.integers()),
        files=draw(st.dictionaries(texts, texts, max_size=3)),
        scores=draw(st.dictionaries(texts, st.dictionaries(texts, numbers, max_size=2), max_size=2)),
        parity=draw(st.dictionaries(texts, numbers, max_size=2)),
        data=draw(st.dictionaries(texts, st.none() | texts | numbers | st.booleans(), max_size=3)),
        config={},
        seed=draw(st.none() | st.integers()),
        libraries=draw(st.dictionaries(texts, texts, max_size=3)),
        git_commit=draw(st.none() | texts),
        created=draw(texts),
    )


@given(manifests())
def test_every_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        version_dir = Path(folder) / manifest.name / str(manifest.version)
        version_dir.mkdir(parents=True)
        (version_dir / artifact.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        assert artifact.read_manifest(version_dir) == manifest


def test_a_manifest_has_one_line_for_each_feature(version_dir: Path) -> None:
    lines = artifact.read_manifest(version_dir).to_json().splitlines()
    assert [json.loads(line.strip().rstrip(","))["name"] for line in lines if '"kind"' in line] == [
        feature.name for feature in TABLE
    ]


def test_a_number_that_json_has_not_is_not_written(version_dir: Path) -> None:
    manifest = dataclasses.replace(artifact.read_manifest(version_dir), parity={"error": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest.to_json()


# Names and folders


@pytest.mark.parametrize("name", ["a", "Z9", "fashion-mnist", "a.b_c-1", "1", "x" * 128])
def test_a_name_that_is_safe_in_paths_and_urls_is_taken(name: str) -> None:
    assert artifact.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "../a", "a\\b", "a b", "a%2f", "ä", "a\n", "a\0", "x" * 129]
)
def test_any_other_name_is_refused(name: str) -> None:
    assert message(artifact.check_name, name) == (
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
    assert "model name 'my model'" in message(artifact.model_names, tmp_path)


def test_a_models_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert message(artifact.model_names, tmp_path / "no") == (
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
    assert message(artifact.versions, tmp_path) == (
        f"{tmp_path / name}: a version folder is named by a positive integer such as '1', not {name!r}; "
        "rename it, or move it out of the models folder"
    )


def test_a_model_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    assert message(artifact.versions, tmp_path / "m") == (
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
    assert [path.name for path in (tmp_path / "new").rglob(".*")] == []


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
        ((dataclasses.replace(manifest, classes=("a",)), files), "'classes' is ['a'], expected two or more labels"),
        ((dataclasses.replace(manifest, format=2), files), "'format' is 2, and this release reads up to 1"),
        ((manifest, {artifact.MODEL: b"", artifact.GOLDEN: b""}), "would be published without example.json"),
    ):
        assert fault in message(artifact.publish, models_dir, "again", lambda _version, made=made: made)
    assert "model name '../again'" in message(artifact.publish, models_dir, "../again", make)
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
    assert "not 'v2'" in message(artifact.publish, tmp_path / "new", "again", republished(version_dir))


# Publishing in a process of its own: in a race, killed, and where it may not write. `{before}` is what happens first.
PUBLISHER = """
import dataclasses, os, resource, signal, sys
from pathlib import Path
from service import artifact

source, models_dir, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
read = artifact.read(source)
files = {artifact.MODEL: read.model, artifact.GOLDEN: read.golden, artifact.EXAMPLE: read.example}

def make(version):
    return dataclasses.replace(read.manifest, name="again", version=version, seed=os.getpid()), files

exec(sys.argv[4])
for _ in range(count):
    try:
        print(artifact.publish(models_dir, "again", make).name, flush=True)
    except artifact.ArtifactError as error:
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
    assert sorted(version for versions in taken.values() for version in versions) == list(range(1, 46))
    for pid, versions in taken.items():
        for version in versions:
            assert artifact.read(tmp_path / "new" / "again" / str(version)).manifest.seed == pid
    assert list((tmp_path / "new").rglob(".*")) == []


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
        assert artifact.publish(models_dir, "again", make).name == str(len(versions) + 1)
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
    assert message(artifact.publish, tmp_path / "file", "again", republished(version_dir)) == (
        f"model folder '{tmp_path / 'file' / 'again'}' cannot be read: Not a directory"
    )
