"""What a run writes for TensorBoard, read by TensorBoard."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.run.tracking.runs import fails, run
from training.errors import OptionError
from training.run.observers import End
from training.run.tracking import tensorboard_run


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415 - slow

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def runs_in(folder: Path) -> list[Path]:
    return sorted({file.parent for file in folder.rglob("events*")})


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, End]:
    """The folder of a run, and its end."""
    root = tmp_path_factory.mktemp("tracked")
    end = run(tensorboard_run.opened(root / "runs", "small"), root / "models")
    (folder,) = runs_in(root / "runs" / "small")
    return folder, end


def test_curves_and_scores_are_those_of_the_run(tracked: tuple[Path, End]) -> None:
    folder, end = tracked
    found = read(folder)
    assert end.run is not None
    assert end.release is not None
    for name, field in (("loss/training", "train_loss"), ("loss/validation", "validation_loss")):
        values = [(event.step, event.value) for event in found.Scalars(name)]
        assert values == [(epoch.number, np.float32(getattr(epoch, field))) for epoch in end.run.history]
    assert [event.step for event in found.Scalars("score/validation_accuracy")] == [1, 2, 3]
    accuracy = end.release.candidate.scores["fp32"]["accuracy"]
    assert found.Scalars("test_accuracy")[0].value == pytest.approx(accuracy)
    assert found.Scalars("best_validation_loss")[0].value == pytest.approx(end.run.best_epoch.validation_loss)


def test_the_card_and_its_pictures_are_shown(tracked: tuple[Path, End]) -> None:
    folder, end = tracked
    found = read(folder)
    assert end.release is not None
    for name in ("learning", "confusion", "reliability"):
        shown = Image.open(io.BytesIO(found.Images(f"card/{name}")[0].encoded_image_string)).convert("RGB")
        with Image.open(end.release.folder / f"{name}.png") as drawn:
            assert np.array_equal(np.asarray(shown), np.asarray(drawn.convert("RGB")))
    (text,) = found.Tensors("card/text_summary")
    assert text.tensor_proto.string_val[0].decode() == (end.release.folder / "README.md").read_text()


def test_trials_are_runs_within_the_run(tmp_path: Path) -> None:
    parent = tensorboard_run.opened(tmp_path, "small")
    for name in ("trial 0", "trial 1"):
        fails(parent.nested(name), KeyboardInterrupt())
    parent.on_end(End())
    (folder,) = (tmp_path / "small").iterdir()
    assert runs_in(tmp_path) == [folder, folder / "trial 0", folder / "trial 1"]


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    for _ in range(3):
        tensorboard_run.opened(tmp_path, "small").on_end(End())
    assert len(runs_in(tmp_path)) == 3


def test_a_folder_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError) as error:
        tensorboard_run.opened(tmp_path / "file", "small")
    assert str(error.value) == (
        f"--tensorboard is '{tmp_path}/file', which cannot be written: Not a directory; choose another folder"
    )
