"""The card of a table: importance is told as the manifest has it, and names that are HTML or Markdown stay text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt

from service import artifact
from service.manifest import Manifest
from tests.training import small
from tests.training.release.test_card_page import Read
from training.config import Config
from training.data.dataset import Column, Dataset
from training.data.split import split
from training.recipe import train
from training.release import pipeline
from training.release.card_scores import shown
from training.release.training_run import TrainingRun

HOSTILE = ('<img src="x" onerror="alert(1)">', "</p><script>alert(2)</script>", "${3}&amp;")
NAMES = ("![a](https://example.com/a.png)", "[b](javascript:alert(3))", HOSTILE[0], "# c | `d`")


def published(dataset: Dataset, models: Path) -> tuple[Manifest, str, bytes]:
    """The manifest and the card of a network that was trained for two epochs."""
    config = Config(hidden=(8,), epochs=2, lr=0.02)
    parts = split(dataset, config)
    trained = train.train_network(dataset, parts, config, torch.device("cpu"), lambda _epoch: None)
    run = TrainingRun(
        name="small",
        command="a `test` <b>",
        dataset=dataset,
        split=parts,
        network=trained.network,
        hidden=config.hidden,
        activation=config.activation,
        output_activation="softmax" if dataset.classifies else "identity",
        config=asdict(config),
        seed=None,
        device="cpu",
        history=trained.history,
        best_epoch=trained.history[-1],
        fit_s=1.0,
    )
    folder = pipeline.release(run, models).folder
    manifest, files = artifact.read_files(folder)
    assert {"importance.png", "learning.png"} < set(files)
    return manifest, files["README.md"].decode(), files["card.html"]


def hostile() -> Dataset:
    """Columns, categories and labels that attack the card."""
    inputs = small.noise(300, 4)
    inputs[:, 3] = np.arange(300) % 3
    columns = (*map(Column, NAMES[:3]), Column(NAMES[3], "categorical", categories=HOSTILE))
    labels = (f"{HOSTILE[1]} *x*", "www.example.com")
    return small.classes(inputs, (inputs[:, 0] > 0).astype(np.int64), labels, columns=columns)


def test_names_and_labels_stay_text(tmp_path: Path) -> None:
    _, markdown, page = published(hostile(), tmp_path)
    found = Read.of(page)
    assert found.tags() == {
        *("html", "head", "meta", "title", "style", "body", "main", "nav", "ul", "li", "a", "h1", "h2", "p"),
        *("div", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "code", "pre"),
    }
    assert {str(each["href"])[0] for each in found.all("a")} == {"#"}
    assert {str(each["src"])[:15] for each in found.all("img")} == {"data:image/png;"}
    everything = "".join(data for _, data in found.texts)
    for each in (*NAMES, *HOSTILE, "www.example.com"):
        assert each in everything
    # On GitHub, the card may have HTML: there is none in it.
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [token for token in (*tokens, *inline) if token.type.startswith(("html", "link"))]
    pictures = {child.attrs["src"] for child in inline if child.type == "image"}
    assert pictures == {"confusion.png", "importance.png", "learning.png", "reliability.png"}


@pytest.mark.parametrize("targets", [1, 2])
def test_the_importance_is_that_of_the_manifest(targets: int, tmp_path: Path) -> None:
    inputs = small.noise(200, 60)
    names = ("price", "rent")[:targets]
    manifest, markdown, _ = published(small.values(inputs, inputs[:, :targets], names), tmp_path)
    found = manifest.importance
    assert found is not None
    assert [len(found.features), found.rows, found.repeats] == [50, 40, 5]
    section = markdown.split("## Feature importance\n\n")[1].split("\n## ")[0]
    first = found.features[0]
    if targets == 1:
        assert section.startswith("How much the mean absolute error of price grows when ")
        assert f"As they are, it is {shown('mae', found.score)}." in section
        assert f"![feature importance: {first.name} " in section
        assert found.score == pytest.approx(manifest.scores["fp32"]["mae"])
    else:
        assert section.startswith("How much the R² falls when ")
        assert found.score == pytest.approx(manifest.scores["fp32"]["r2"])
    assert "Of 60 features, the 50 that move the predictions most were tried." in section
    assert "The picture has the first 20; `metadata.json` has all." in section
