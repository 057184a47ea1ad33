"""What is tracked of a run: its options, and its rows."""

from __future__ import annotations

from dataclasses import replace

from tests.training import small
from tests.training.run.tracking.runs import CONFIG
from training.data.split import split
from training.run.observers import Start
from training.run.tracking import content


def test_the_training_rows_of_a_streamed_table_are_those_in_its_files() -> None:
    dataset = small.sides(200)
    parts = replace(split(dataset, CONFIG), streamed_rows=1_000_000)
    found = content.parameters(Start("small", "the tests", dataset, parts, CONFIG, "cpu"))
    rows = {name: found[name] for name in ("train_rows", "validation_rows", "test_rows")}
    assert rows == {"train_rows": 1_000_000, "validation_rows": len(parts.validation), "test_rows": len(parts.test)}
    assert (found["data"], found["hidden"], found["epochs"]) == ("small", "8 4", 3)
