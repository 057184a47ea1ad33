"""Make the int8 graph of a Fashion-MNIST version again, without training it again.

    python -m benchmarks.int8_again models/fashion-mnist/1

For a version published before int8 was made as it is now. Its golden rows, scores, comparison and card get the figures
of the new graph. The scales are calibrated, and the graphs compared, on the rows that training takes for it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import artifact
from training.config import Config
from training.data import fashion_mnist
from training.data.split import split
from training.release import card_page, card_scores, evaluate, onnx_runtime, quantize
from training.release.markdown import table
from training.release.onnx_export import CLASSIFIER_OUTPUTS
from training.release.recard import recard


def main(version_dir: Path) -> int:
    """Return 0, or 1 without any change if the int8 graph is not as good as fp32."""
    published = artifact.read(version_dir)
    manifest, dataset = published.manifest, fashion_mnist.load(None)
    config = {name: manifest.config[name] for name in ("seed", "validation_fraction", "test_fraction")}
    parts = split(dataset, Config(**config))
    comparison = quantize.compare(published.model, dataset, parts, manifest.seed)
    paragraph = card_scores.int8(comparison, manifest.label_texts)
    print(paragraph)
    if comparison.fault is not None:
        return 1

    probabilities = onnx_runtime.run(comparison.graph, dataset.inputs[parts.test])[0]
    before, scores = manifest.scores, evaluate.classification(probabilities, dataset.targets[parts.test])
    text = (version_dir / card_page.README).read_text(encoding="utf-8")
    text = text.replace(_rows(before["fp32"], before["int8"]), _rows(before["fp32"], scores))
    made = " It was made from the fp32 graph after the run, by `benchmarks/int8_again.py`."
    text = re.sub(r"The int8 graph .*", lambda _: paragraph + made, text)

    files = {
        artifact.MODEL_INT8: comparison.graph,
        artifact.GOLDEN: _golden(published.golden, comparison.graph),
        card_page.README: text.encode(),
    }
    hashes = {**manifest.files, **{name: artifact.sha256(content) for name, content in files.items()}}
    manifest = replace(manifest, files=hashes, int8=comparison.measured, scores={**before, "int8": scores})
    for name, content in {**files, artifact.MANIFEST: manifest.to_json().encode()}.items():
        (version_dir / name).write_bytes(content)
    recard(version_dir)
    return 0


def _rows(fp32: Mapping[str, float], in_int8: Mapping[str, float]) -> str:
    """The lines of the card's table of scores."""
    shown = card_scores.shown
    lines = [[card_scores.NAMES[name], shown(name, fp32[name]), shown(name, in_int8[name])] for name in in_int8]
    return table(["", "", ""], lines).split("\n", 2)[2]


def _golden(golden: bytes, graph: bytes) -> bytes:
    """The golden rows with the answers of the int8 ``graph``."""
    with np.load(io.BytesIO(golden)) as archive:
        arrays: dict[str, NDArray[Any]] = dict(archive)
    outputs = onnx_runtime.run(graph, arrays["inputs"])
    arrays |= {f"int8_{name}": output for name, output in zip(CLASSIFIER_OUTPUTS, outputs, strict=True)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
