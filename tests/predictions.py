"""Predictions of a running server for many rows, and the metrics they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tests.service.running import Running, post


@dataclass(frozen=True)
class Predictions:
    """The predictions for each row, and the number of requests that were sent for them."""

    requests: int
    models: set[tuple[str, int]]
    labels: list[str | int | bool]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def predict(server: Running, rows: NDArray[Any], batch_rows: int) -> Predictions:
    """Send ``rows`` (rows, …) as JSON over one connection, ``batch_rows`` in each request."""
    documents = []
    with server.connect() as connection:
        for first in range(0, len(rows), batch_rows):
            connection.send(post(orjson.dumps({"inputs": rows[first : first + batch_rows].tolist()})))
            answer = connection.answer()
            assert answer.status == 200, answer.body
            documents.append(orjson.loads(answer.body))
    return Predictions(
        requests=len(documents),
        models={(document["model"], document["version"]) for document in documents},
        labels=[label for document in documents for label in document["predictions"]],
        classes=np.array([index for document in documents for index in document["classes"]]),
        probabilities=np.array([row for document in documents for row in document["probabilities"]], np.float32),
    )


def assert_metrics_match(server: Running, results: list[Predictions]) -> None:
    """The server's metrics count these predictions and nothing else."""
    found = server.metrics()
    labels = [label for result in results for label in result.labels]
    requests = sum(result.requests for result in results)
    ((model, version),) = set.union(*(result.models for result in results))
    by_status = {
        name: count for name, count in found.items() if name.startswith(f"mlp_requests_total {model} /predict ")
    }
    assert by_status == {f"mlp_requests_total {model} /predict 200": requests}
    assert (found[f"mlp_request_rows_count {model}"], found[f"mlp_request_rows_sum {model}"]) == (requests, len(labels))
    assert found[f"mlp_batch_rows_sum {model}"] == len(labels)
    by_label = {
        name.split(" ", 1)[1]: value for name, value in found.items() if name.startswith("mlp_predictions_total ")
    }
    assert sum(by_label.values()) == len(labels)
    for label in set(labels):
        assert by_label[f"{label} {model} {version}"] == labels.count(label)
    assert found[f"mlp_prediction_confidence_count {model} {version}"] == len(labels)
