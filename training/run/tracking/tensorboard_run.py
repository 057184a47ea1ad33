"""A run in TensorBoard's files: curves, options with their result, test scores, the card and its pictures."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from training.errors import OptionError
from training.release.card_page import README
from training.run.observers import End, Observer, Start
from training.run.tracking import content

if TYPE_CHECKING:
    from training.engine.trainer import Epoch

# Where TensorBoard shows a figure: those with the same prefix are side by side.
_CHARTS: Final = {"train_loss": "loss/training", "validation_loss": "loss/validation", "epoch_s": "time/epoch_s"}


def opened(folder: Path, name: str) -> TensorboardRun:
    """Begin a run of model ``name`` in a new folder in ``folder``. Raises `OptionError` if it cannot be written."""
    time = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    try:
        return TensorboardRun(_new(folder / name / time))
    except OSError as error:
        raise OptionError(
            f"--tensorboard is {str(folder)!r}, which cannot be written: {error.strerror}; choose another folder"
        ) from error


def _new(folder: Path) -> Path:
    """Make ``folder``, with a number behind its name if there is one already."""
    number, found = 2, folder
    while True:
        try:
            found.mkdir(parents=True)
        except FileExistsError:
            if not found.is_dir():
                raise
            found = folder.with_name(f"{folder.name}-{number}")
            number += 1
        else:
            return found


class TensorboardRun(Observer):
    """A run in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = SummaryWriter(str(folder))
        self._start: Start | None = None

    def nested(self, name: str) -> Observer:
        """Begin a run in a folder within this one's."""
        return TensorboardRun(_new(self._folder / name))

    def on_start(self, start: Start) -> None:
        """Note the options, which are written with their result."""
        self._start = start

    def on_epoch(self, epoch: Epoch) -> None:
        """Write the figures of an epoch."""
        assert self._start is not None  # noqa: S101 - a run starts before its epochs
        for name, value in content.curves(epoch, content.score_name(self._start)).items():
            if not math.isnan(value):
                self._writer.add_scalar(_CHARTS.get(name, f"score/{name}"), value, epoch.number)

    def on_end(self, end: End) -> None:
        """Write options and results, the card and its pictures."""
        found = content.results(end)
        if self._start is not None and found:
            self._writer.add_hparams(content.parameters(self._start), found, run_name=".")
        if end.release is not None:
            self._writer.add_text("card", (end.release.folder / README).read_text())
            for picture in sorted(end.release.folder.glob("*.png")):
                with Image.open(picture) as image:
                    pixels = np.asarray(image.convert("RGB"))  # (height, width, 3)
                self._writer.add_image(f"card/{picture.stem}", pixels, dataformats="HWC")
        self._writer.close()
