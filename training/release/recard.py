"""Renders a published version's card again, and puts its files into the manifest; the graphs stay as they are.

For people who complete README.md, with what the model is for and what it must not be used for, and for versions from
before card.html:

    python -m training.release.recard models/flats/3
    python -m training.release.recard models/fashion-mnist/1 --errors-of fashion-mnist
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from service import artifact
from service.artifact import Artifact
from service.manifest import ArtifactError
from training.data import source
from training.data.dataset import TEST, Dataset
from training.errors import DataError, TrainingError
from training.release import card_page, card_pictures, evaluate, onnx_runtime
from training.release.card_pictures import Drawn

_TOLERANCE: Final = 0.0005  # of the accuracy: another processor may decide near ties otherwise
_HEADING: Final = "\n## Errors\n"


def recard(version_dir: Path, dataset: Dataset | None = None) -> None:
    """Write ``card.html`` from the version's ``README.md``, and the hashes of both into its manifest.

    With a ``dataset`` of images that has test rows of its own, the section on errors is made again from the graph's
    answers for them. All other files are verified first. Raises `ArtifactError`, and `DataError` if the version was not
    scored on these rows.
    """
    published = artifact.read(version_dir)
    files = published.manifest.files
    pictures = {
        name: artifact.read_file(version_dir, name, published.manifest) for name in files if name.endswith(".png")
    }
    markdown = (version_dir / card_page.README).read_text(encoding="utf-8")
    if dataset is not None:
        drawn = _errors(published, dataset)
        pictures |= drawn.files
        markdown = _with_errors(markdown, drawn.errors)
    page = card_page.page(markdown, pictures)
    _write(version_dir, published, {**pictures, card_page.README: markdown.encode(), card_page.FILE: page})


def _errors(published: Artifact, dataset: Dataset) -> Drawn:
    """The section on errors, for the test rows of ``dataset``."""
    manifest, test = published.manifest, dataset.division.rows_of(TEST)
    if not len(test) or len(dataset.shape) != 2 or dataset.class_names != manifest.label_texts:
        raise DataError(
            f"{dataset.name} has no test images of its own with the classes of {manifest.name}; give the data that "
            f"{manifest.name} was scored on, or leave --errors-of out"
        )
    inputs, true = dataset.inputs[test], dataset.targets[test]
    outputs = onnx_runtime.run(published.model, inputs)
    found, known = evaluate.classification(outputs[0], true)["accuracy"], manifest.scores["fp32"]["accuracy"]
    if abs(found - known) > _TOLERANCE:
        raise DataError(
            f"the accuracy on the test images of {dataset.name} is {found:.4f}, and {manifest.name} was scored with "
            f"{known:.4f}; give the data that it was scored on, or leave --errors-of out"
        )
    return card_pictures.of_classes(outputs, true, inputs, dataset, None)


def _with_errors(markdown: str, section: str) -> str:
    """The card with another section on errors; at its end if it had none."""
    before, heading, after = f"\n{markdown}".partition(_HEADING)
    _, next_heading, rest = after.partition("\n## ")
    return f"{before.rstrip()}\n{heading or _HEADING}\n{section}\n{next_heading}{rest}".lstrip("\n")


def _write(version_dir: Path, published: Artifact, files: Mapping[str, bytes]) -> None:
    """Replace files one by one, the manifest last: until then, a server that reads finds no card, or the old one."""
    hashes = {**published.manifest.files, **{name: artifact.sha256(content) for name, content in files.items()}}
    manifest = replace(published.manifest, files=hashes).to_json().encode()
    for name, content in {**files, artifact.MANIFEST: manifest}.items():
        if (version_dir / name).is_file() and (version_dir / name).read_bytes() == content:
            continue
        new = version_dir / f".{name}.new"
        new.write_bytes(content)
        new.replace(version_dir / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.release.recard",
        description="Render card.html of a published version from its README.md, and update the manifest's hashes.",
    )
    parser.add_argument("version", type=Path, metavar="FOLDER", help="the version, such as models/flats/3")
    parser.add_argument(
        "--errors-of",
        metavar="DATA",
        help="also make the section on errors again, for the test images of this data set, which must have its own",
    )
    options = parser.parse_args(arguments)
    try:
        recard(options.version.absolute(), None if options.errors_of is None else source.load(options.errors_of))
    except (TrainingError, ArtifactError, OSError) as error:
        print(f"recard: {error}", file=sys.stderr)  # noqa: T201 - a command's error
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
