"""python -m benchmarks.int8_evidence models/fashion-mnist/1: what shows a published int8 graph to be as good, anew.

Holds it against the fp32 graph beside it on rows of Fashion-MNIST that its scales were not taken from and that are no
test rows, as training does, and writes what was found into the version's manifest and card. For a version that was
published before training wrote it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from service import artifact
from training.config import Config
from training.data import fashion_mnist
from training.data.split import split
from training.release import card, quantize
from training.release.quantize import Comparison


def main(version_dir: Path) -> int:
    """0 where the graph is as good, else 1; the manifest has the figures either way."""
    published = artifact.read(version_dir)
    manifest, dataset = published.manifest, fashion_mnist.load(None)
    assert published.model_int8 is not None
    assert manifest.seed is not None
    chosen = {name: manifest.config[name] for name in ("seed", "validation_fraction", "test_fraction")}
    judged = quantize.judged_rows(split(dataset, Config(**chosen)), manifest.seed)
    rows, targets = dataset.inputs[judged], dataset.targets[judged]
    found = quantize.judge(published.model, published.model_int8, rows, targets, len(manifest.classes))
    twin = Comparison(published.model_int8, found, found.fault(manifest.label_texts))

    card_path = version_dir / card.README
    said = card.int8(twin, manifest.label_texts)
    text = re.sub(r"The int8 graph .*? a probability is \d\.\d+\.", lambda _: said, card_path.read_text()).encode()
    files = {**manifest.files, card.README: artifact.sha256(text)}
    card_path.write_bytes(text)
    (version_dir / artifact.MANIFEST).write_text(replace(manifest, files=files, int8=found).to_json())
    print(said)
    return 0 if twin.as_good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
