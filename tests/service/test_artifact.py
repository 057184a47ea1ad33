"""A published model: reading returns what was written, and damaged files are refused."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from service import artifact
from tests.service.errors import artifact_error
from tests.service.published import TABLE, rewrite


def test_the_files_that_the_service_needs_are_read(version_dir: Path) -> None:
    read = artifact.read(version_dir)
    assert read.model == (version_dir / artifact.MODEL).read_bytes()
    assert read.golden == (version_dir / artifact.GOLDEN).read_bytes()
    assert read.example == (version_dir / artifact.EXAMPLE).read_bytes()
    assert read.model_int8 is None
    assert (read.manifest.name, read.manifest.version, read.manifest.features) == ("table", 1, TABLE)


def test_the_int8_graph_is_read_if_the_manifest_lists_it(version_dir: Path) -> None:
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
        assert artifact_error(artifact.read, version_dir) == (
            f"{path} ({len(damaged)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            "metadata.json; copy the version again, or publish it anew"
        )


@pytest.mark.parametrize("name", artifact.REQUIRED)
def test_a_missing_or_unlisted_file_is_refused(version_dir: Path, name: str) -> None:
    (version_dir / name).unlink()
    assert artifact_error(artifact.read, version_dir) == (
        f"{version_dir / name} cannot be read: No such file or directory; publish the model again"
    )
    rewrite(version_dir, lambda document: document["files"].pop(name))
    assert artifact_error(artifact.read, version_dir) == (
        f"{version_dir / artifact.MANIFEST}: 'files' does not list {name}; publish the model again"
    )


def outside(models_dir: Path) -> Path:
    folder = models_dir.with_name("elsewhere")
    folder.mkdir(exist_ok=True)
    return folder


def test_links_within_the_models_folder_are_followed(version_dir: Path) -> None:
    """Kubernetes mounts a ConfigMap's files as links to ..data/name, and ..data is a link to a dated folder."""
    whole = artifact.read(version_dir)
    (version_dir / "..2026_01_01").mkdir()
    (version_dir / "..data").symlink_to("..2026_01_01")
    for name in (artifact.MANIFEST, *artifact.REQUIRED):
        (version_dir / name).rename(version_dir / "..2026_01_01" / name)
        (version_dir / name).symlink_to(Path("..data") / name)
    assert artifact.read(version_dir) == whole
    # If the whole folder is mounted, the models are links.
    models_dir = version_dir.parent.parent
    (models_dir / "..2026_01_01").mkdir()
    (models_dir / "..data").symlink_to("..2026_01_01")
    version_dir.parent.rename(models_dir / "..data" / "table")
    (models_dir / "table").symlink_to("..data/table")
    assert artifact.model_names(models_dir) == ["table"]
    assert artifact.versions(models_dir / "table") == [1]
    assert artifact.read(version_dir) == whole
    # The models folder may itself be a link.
    link = models_dir.with_name("link")
    link.symlink_to(models_dir)
    assert artifact.read(link / "table" / "1") == whole


@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_a_link_to_a_file_outside_is_refused(version_dir: Path, name: str) -> None:
    models_dir, path = version_dir.parent.parent, version_dir / name
    moved = path.rename(outside(models_dir) / name)
    path.symlink_to(moved)
    assert artifact_error(artifact.read, version_dir) == (
        f"{path} leads to {moved}, outside the models folder '{models_dir}'; copy the version into it"
    )
    path.unlink()
    path.symlink_to("/dev/zero")
    assert f"{path} leads to /dev/zero, outside the models folder" in artifact_error(artifact.read, version_dir)


@pytest.mark.parametrize("level", [0, 1])
def test_a_link_to_a_folder_outside_is_refused(version_dir: Path, level: int) -> None:
    models_dir, folder = version_dir.parent.parent, (version_dir, version_dir.parent)[level]
    moved = folder.rename(outside(models_dir) / folder.name)
    folder.symlink_to(moved)
    assert artifact.model_names(models_dir) == ["table"]
    assert artifact.versions(models_dir / "table") == [1]
    assert f"{version_dir / artifact.MANIFEST} leads to {moved}" in artifact_error(artifact.read, version_dir)


@pytest.mark.parametrize("target", ["nowhere", "1", "loop"])
@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_a_link_to_something_else_is_reported(version_dir: Path, name: str, target: str) -> None:
    path = version_dir / name
    path.unlink()
    (version_dir / "1").mkdir()
    (version_dir / "loop").symlink_to("loop")
    path.symlink_to(target)
    message = {
        "nowhere": f"{path} (a link to 'nowhere') cannot be read: No such file or directory",
        "1": f"{path} is a folder, expected a file",
        "loop": f"{path} (a link to 'loop') cannot be read: Too many levels of symbolic links",
    }
    assert artifact_error(artifact.read, version_dir) == f"{message[target]}; publish the model again"


@pytest.mark.parametrize("name", [artifact.MANIFEST, *artifact.REQUIRED])
def test_pipes_and_folders_are_refused_without_blocking(version_dir: Path, name: str) -> None:
    path = version_dir / name
    path.unlink()
    os.mkfifo(path)
    assert artifact_error(artifact.read, version_dir) == f"{path} is a pipe, expected a file; publish the model again"
    path.unlink()
    path.mkdir()
    assert artifact_error(artifact.read, version_dir) == f"{path} is a folder, expected a file; publish the model again"


@pytest.mark.parametrize("name", [artifact.MANIFEST, artifact.MODEL_INT8, *artifact.REQUIRED])
def test_a_file_over_its_size_limit_is_not_read(version_dir: Path, name: str) -> None:
    path = version_dir / name
    rewrite(version_dir, lambda document: document["files"].update({artifact.MODEL_INT8: "0"}))
    bound = 2**30 if name in {artifact.MODEL, artifact.MODEL_INT8} else 2**26
    with path.open("ab") as file:
        file.truncate(bound + 1)
    tracemalloc.start()
    try:
        message = artifact_error(artifact.read, version_dir)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message == (
        f"{path} has {bound + 1:,} bytes, expected {bound:,} at most; copy the version again, or publish it anew"
    )
    assert peak_bytes < 2**22


def test_a_file_larger_than_its_stated_size_is_refused(version_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like the files of /proc, which have 0 bytes, or a file that grows."""
    stated = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        found = list(stated(descriptor))
        found[stat.ST_SIZE] = 0
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", smaller)
    assert artifact_error(artifact.read, version_dir) == (
        f"{version_dir / artifact.MANIFEST} grew while it was read; start again when the version is complete"
    )


# Names and folders


@pytest.mark.parametrize("name", ["a", "Z9", "fashion-mnist", "a.b_c-1", "1", "x" * 128])
def test_a_name_that_is_safe_in_paths_and_urls_is_accepted(name: str) -> None:
    assert artifact.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "../a", "a\\b", "a b", "a%2f", "ä", "a\n", "a\0", "x" * 129]
)
def test_any_other_name_is_refused(name: str) -> None:
    assert artifact_error(artifact.check_name, name) == (
        f"model name {name!r}: a name has 1 to 128 letters, digits, '.', '_' and '-', and begins with a letter or a "
        "digit"
    )


def test_models_are_folders_that_are_not_hidden(tmp_path: Path) -> None:
    for folder in ("b", "a", ".publishing-1"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").touch()
    (tmp_path / "lost+found").mkdir()  # as at the root of a volume
    assert artifact.model_names(tmp_path) == ["a", "b"]
    (tmp_path / "my model").mkdir()
    assert "model name 'my model'" in artifact_error(artifact.model_names, tmp_path)


def test_a_broken_link_is_reported(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for parent, read in ((tmp_path, artifact.model_names), (tmp_path / "m", artifact.versions)):
        (parent / ".hidden").symlink_to("nowhere")
        (parent / "file").touch()
        (parent / "7").symlink_to("file")  # a link to a file is ignored
        assert read(parent) == [each for each in ("m",) if parent == tmp_path]
        (parent / "8").symlink_to("nowhere")
        assert artifact_error(read, parent) == (
            f"{parent / '8'} is a link to 'nowhere', which cannot be followed: No such file or directory; fix the "
            "link or remove it"
        )
        (parent / "8").unlink()
        (parent / "8").symlink_to("8")
        assert "which cannot be followed: Too many levels of symbolic links; fix" in artifact_error(read, parent)
        (parent / "8").unlink()
    (tmp_path / "n").symlink_to("nowhere")
    assert artifact_error(artifact.versions, tmp_path / "n") == (
        f"model folder '{tmp_path / 'n'}' cannot be read: No such file or directory"
    )


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "a\nall is well\x1b[2J").symlink_to("nowhere")
    assert artifact_error(artifact.model_names, tmp_path).isprintable()
    (tmp_path / "m" / "1\x1b[2J").mkdir(parents=True)
    assert artifact_error(artifact.versions, tmp_path / "m").isprintable()


def test_a_missing_models_folder_is_refused(tmp_path: Path) -> None:
    assert artifact_error(artifact.model_names, tmp_path / "no") == (
        f"models folder '{tmp_path / 'no'}' cannot be read: No such file or directory"
    )


def test_versions_are_sorted_as_numbers_without_files_and_hidden_folders(tmp_path: Path) -> None:
    for folder in ("9", "10", "1", ".publishing-1"):
        (tmp_path / folder).mkdir()
    (tmp_path / "11").touch()
    assert artifact.versions(tmp_path) == [1, 9, 10]
    assert artifact.versions(tmp_path / "no") == []


@pytest.mark.parametrize("name", ["v2", "0", "01", "-1", "1.0", "\u0661", "1" * 19])
def test_a_folder_that_is_not_a_version_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert artifact_error(artifact.versions, tmp_path) == (
        f"{tmp_path / name}: a version folder is named by a positive integer such as '1', not {name!r}; "
        "rename it, or move it out of the models folder"
    )


def test_a_model_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    assert artifact_error(artifact.versions, tmp_path / "m") == (
        f"model folder '{tmp_path / 'm'}' cannot be read: Not a directory"
    )
