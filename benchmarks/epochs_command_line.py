"""Our command line, one epoch per line of stdin: python -m benchmarks.epochs_command_line EPOCHS

Trains as `python -m training fashion-mnist --no-flip --shift-pixels 0 --erase-pixels 0 --epochs EPOCHS` does: augmented
images would need many epochs. The number of epochs is fixed in advance, as the one-cycle schedule spans all of them.
The test rows are passed as validation rows, and nothing is selected by them.
"""

from __future__ import annotations

import json
import sys
import time

from training.config import DEFAULT, RECIPES, Config
from training.data import fashion_mnist
from training.data.dataset import REST, TEST
from training.data.split import Split
from training.engine import device
from training.engine.trainer import Epoch
from training.recipe.train import train_network


def main() -> None:
    images = fashion_mnist.load(None)
    train, test = images.division.rows_of(REST), images.division.rows_of(TEST)
    no_augmentation = {"flip": False, "shift_pixels": 0, "erase_pixels": 0}
    config = Config(**RECIPES[DEFAULT]["image"] | no_augmentation | {"epochs": int(sys.argv[1])})
    began_s = 0.0

    def wait() -> None:
        nonlocal began_s
        sys.stdin.readline()
        began_s = time.perf_counter()

    def on_epoch(epoch: Epoch) -> None:
        epoch_s = time.perf_counter() - began_s
        print(json.dumps({"epoch_s": epoch_s, "accuracy": epoch.validation_score}), flush=True)
        if epoch.number < config.epochs:
            wait()

    wait()
    train_network(images, Split(train, test, test), config, device.choose("auto"), on_epoch)


if __name__ == "__main__":
    main()
