"""Compare the published int8 graph of a Fashion-MNIST version with fp32 again, and update its manifest and card.

    python -m benchmarks.int8_evidence models/fashion-mnist/1

For a version published before training recorded the comparison. The rows are those that training compares on: the
scales were not calibrated on them, and none is a test row.
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
from training.release import card_page, card_scores, quantize
from training.release.quantize import Comparison


def main(version_dir: Path) -> int:
    """Return 0 if the int8 graph is as good as fp32, else 1; the manifest has the figures either way."""
    published = artifact.read(version_dir)
    manifest, dataset = published.manifest, fashion_mnist.load(None)
    assert published.model_int8 is not None
    config = {name: manifest.config[name] for name in ("seed", "validation_fraction", "test_fraction")}
    rows = quantize.comparison_rows(split(dataset, Config(**config)), manifest.seed)
    measured = quantize.measure(
        published.model, published.model_int8, dataset.inputs[rows], dataset.targets[rows], len(manifest.classes)
    )
    comparison = Comparison(published.model_int8, measured, measured.fault(manifest.label_texts))

    card_path = version_dir / card_page.README
    paragraph = card_scores.int8(comparison, manifest.label_texts)
    text = re.sub(r"The int8 graph .*? a probability is \d\.\d+\.", lambda _: paragraph, card_path.read_text())
    content = text.encode()
    files = {**manifest.files, card_page.README: artifact.sha256(content)}
    card_path.write_bytes(content)
    (version_dir / artifact.MANIFEST).write_text(replace(manifest, files=files, int8=measured).to_json())
    print(paragraph)
    return 0 if comparison.fault is None else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
