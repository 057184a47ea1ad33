"""Our command line with few epochs, one for each line that comes in: python -m benchmarks.epochs_command_line EPOCHS

As `python -m training fashion-mnist --no-flip --shift-pixels 0 --erase-pixels 0 --epochs EPOCHS` trains: images that
are changed each time take many epochs. The learning rate goes up and down once over all of them, so that their number
has to be known from the first one on. The test rows take the validation rows' place, and nothing is chosen by them.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from training.config import DEFAULT, RECIPES, Config
from training.data import fashion_mnist
from training.data.split import Split
from training.engine import device
from training.engine.trainer import Epoch
from training.recipe.train import train_network


def main() -> None:
    images = fashion_mnist.load(None)
    train, test = np.split(np.arange(len(images.inputs)), [-images.test_rows])
    unchanged = {"flip": False, "shift_pixels": 0, "erase_pixels": 0}
    config = Config(**RECIPES[DEFAULT]["image"] | unchanged | {"epochs": int(sys.argv[1])})
    began_s = 0.0

    def wait() -> None:
        nonlocal began_s
        sys.stdin.readline()
        began_s = time.perf_counter()

    def ended(epoch: Epoch) -> None:
        epoch_s = time.perf_counter() - began_s
        print(json.dumps({"epoch_s": epoch_s, "accuracy": epoch.validation_score}), flush=True)
        if epoch.number < config.epochs:
            wait()

    wait()
    train_network(images, Split(train, test, test), config, device.choose("auto"), ended)


if __name__ == "__main__":
    main()
