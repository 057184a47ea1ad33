"""The files that the architecture page draws are those of the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.pages import ROOT, read

PAGE = read("architecture")
PACKAGES = ("service", "training")


def drawn_paths() -> list[Path]:
    """Each path in the drawing, relative to the root: one per line, indented by two spaces per level."""
    drawing = PAGE.split("\n```\nservice/\n")[1].split("```")[0]
    paths: list[Path] = []
    parents: list[str] = []
    for line in ["service/", *drawing.splitlines()]:
        name = line.split()[0]
        level = (len(line) - len(line.lstrip())) // 2
        parents[level:] = [name]
        paths.append(Path(*parents))
    return paths


def modules_and_packages(folder: Path) -> Iterator[Path]:
    """Children of a package, relative to the root. ``__init__.py`` belongs to the package itself."""
    for child in sorted((ROOT / folder).iterdir()):
        if (child / "__init__.py").exists() or (child.suffix == ".py" and child.name != "__init__.py"):
            yield child.relative_to(ROOT)


DRAWN = drawn_paths()


def test_each_drawn_path_exists() -> None:
    assert [str(path) for path in DRAWN if not (ROOT / path).exists()] == []


def test_each_path_is_drawn_once() -> None:
    assert len(DRAWN) == len(set(DRAWN))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_module_and_package_is_drawn(package: str) -> None:
    """A folder drawn without children stands for everything in it."""
    opened = [folder for folder in {path.parent for path in DRAWN} if folder.parts[:1] == (package,)]
    children = [child for folder in opened for child in modules_and_packages(folder)]
    assert len(children) > 5
    assert [str(child) for child in children if child not in DRAWN] == []


def test_training_has_at_most_eleven_siblings_at_the_top() -> None:
    siblings = [path.name for path in modules_and_packages(Path("training")) if not path.name.startswith("__")]
    assert len(siblings) <= 11, siblings


@pytest.mark.parametrize(("path", "package"), [("A request", "service"), ("A training run", "training")])
def test_each_file_on_a_drawn_path_exists(path: str, package: str) -> None:
    drawn = PAGE.split(f"\n## {path}\n\n```\n")[1].split("```")[0]
    files = re.findall(r"\b[a-z_0-9/]+(?:\.py\b|/)", drawn)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / package / file).exists() and not (ROOT / file).exists()] == []
