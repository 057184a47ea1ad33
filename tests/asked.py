"""Many rows put to a running server in batches, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tests.service.running import Running, post


@dataclass(frozen=True)
class Asked:
    """What came back, row by row, and in how many requests."""

    requests: int
    models: set[tuple[str, int]]
    predictions: list[str | int | bool]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def ask(server: Running, rows: NDArray[Any], batch_rows: int) -> Asked:
    """Put ``rows`` (rows, …) to it over one connection, that many in each request; the last has what is left."""
    documents = []
    with server.connect() as connection:
        for first in range(0, len(rows), batch_rows):
            connection.send(post(orjson.dumps({"inputs": rows[first : first + batch_rows].tolist()})))
            answer = connection.answer()
            assert answer.status == 200, answer.body
            documents.append(orjson.loads(answer.body))
    return Asked(
        requests=len(documents),
        models={(document["model"], document["version"]) for document in documents},
        predictions=[label for document in documents for label in document["predictions"]],
        classes=np.array([place for document in documents for place in document["classes"]]),
        probabilities=np.array([row for document in documents for row in document["probabilities"]], np.float32),
    )


def assert_counted(server: Running, asked: list[Asked]) -> None:
    """The server's counters are those of what it was asked, and of nothing else."""
    found = server.metrics()
    rows = [label for each in asked for label in each.predictions]
    requests = sum(each.requests for each in asked)
    ((model, version),) = set.union(*(each.models for each in asked))
    answers = {name: count for name, count in found.items() if name.startswith("mlp_requests_total /predict ")}
    assert answers == {"mlp_requests_total /predict 200": requests}
    assert (found["mlp_request_rows_count"], found["mlp_request_rows_sum"]) == (requests, len(rows))
    assert found[f"mlp_batch_rows_sum {model}"] == len(rows)
    counted = {
        name.split(" ", 1)[1]: value for name, value in found.items() if name.startswith("mlp_predictions_total ")
    }
    assert sum(counted.values()) == len(rows)
    for label in set(rows):
        assert counted[f"{label} {model} {version}"] == rows.count(label)
    assert found[f"mlp_prediction_confidence_count {model} {version}"] == len(rows)
