"""Names, versions and folders are found, and nothing outside the models folder by a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from service import withdrawal
from service.manifest import ArtifactError
from service.models import references
from service.models.command import CommandError
from service.models.references import Reference
from tests.service.published import publish


def reason(text: str, models: Path) -> str:
    with pytest.raises((CommandError, ArtifactError)) as caught:
        references.version_of(text, models)
    return str(caught.value)


def test_a_name_means_the_newest_version(versions: Path) -> None:
    found = references.version_of("small", versions)
    assert found == Reference(versions, "small", 3)
    assert (str(found), found.folder) == ("small@3", versions / "small" / "3")


def test_a_version_by_number_also_when_it_is_withdrawn(versions: Path) -> None:
    assert references.version_of("small@2", versions) == Reference(versions, "small", 2)
    hidden = withdrawal.withdraw(versions / "small", 3)
    found = references.version_of("small@3", versions)
    assert (found.withdrawn, found.folder) == (True, hidden)
    assert references.version_of("small", versions).version == 2


def test_a_version_by_its_folder(versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "nowhere"
    expected = Reference(versions, "small", 2)
    assert references.version_of(str(versions / "small" / "2"), nowhere) == expected
    assert references.version_of(str(versions / "small"), nowhere) == Reference(versions, "small", 3)
    monkeypatch.chdir(versions / "small")
    assert references.version_of("2", nowhere) == expected
    assert references.version_of("../small/2/", nowhere) == expected
    hidden = withdrawal.withdraw(versions / "small", 3)
    assert references.version_of(str(hidden), nowhere) == Reference(versions, "small", 3, withdrawn=True)
    monkeypatch.chdir(versions / "small" / "2")
    assert references.version_of(".", nowhere) == expected


def test_a_model_comes_before_a_folder_of_the_same_name(
    versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "elsewhere", "small", 9)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert references.version_of("small", versions) == Reference(versions, "small", 3)


def test_what_is_not_there(versions: Path) -> None:
    publish(versions, "large")
    withdrawal.withdraw(versions / "small", 3)
    for text, expected in (
        ("smal", f"there is no model 'smal' in '{versions}'; did you mean small?"),
        ("xyz", f"there is no model 'xyz' in '{versions}'; there are: large, small"),
        ("small@7", "model 'small' has no version 7; there are: 1, 2, and withdrawn: 3"),
        ("large@7", "model 'large' has no version 7; there are: 1"),
        ("small@", "version '' is no positive integer; write for example mine@3"),
        ("small@03", "version '03' is no positive integer; write for example mine@3"),
        ("./none", "there is no folder './none'; give one, or a name such as mine or mine@3"),
    ):
        assert reason(text, versions) == expected
    assert "is no version: its folder is named 'models', expected a positive integer" in reason(str(versions), versions)


@pytest.mark.parametrize("name", ["..", ".", "a/../b", "..@1", "", "a\nb", ".lock", "-x", "a" * 129, "small\0"])
def test_no_name_leads_out_of_the_models_folder(versions: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="a name has 1 to 128 letters"):
        references.model_folder(name, versions)
    assert reason(name, versions)


def test_a_model_without_versions(versions: Path) -> None:
    (versions / "empty").mkdir()
    assert reason("empty", versions) == "model 'empty' has no version; publish one with: make train"
    for version in (3, 2, 1):
        withdrawal.withdraw(versions / "small", version)
    assert reason("small", versions) == "model 'small' has no version; restore one of 1, 2, 3"
