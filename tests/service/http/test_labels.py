"""Labels keep the type of the target in responses; metrics have them as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.manifest import Label
from tests.service.http.test_openapi import Client
from tests.service.published import publish

ROW = [0.5, -1.0, 0.25, 0.0]


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        (("01", "1", "a"), ["01", "1", "a"]),
        ((0, 1, -7), ["0", "1", "-7"]),
        ((True, False), ["true", "false"]),
    ],
)
def test_labels_keep_their_type(tmp_path: Path, labels: tuple[Label, ...], texts: list[str]) -> None:
    publish(tmp_path, labels=labels)
    client = Client(tmp_path, "small")
    with client.runner:
        answer = client.ask("POST", f"/predict?top_k={len(labels)}", {"inputs": [ROW]}).json()
        described = client.ask("GET", "/models/small").json()["labels"]
        metrics = client.ask("GET", "/metrics").text
        operation = client.operation("/predict")
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert client.fits(answer, schema)
        assert not client.fits({**answer, "predictions": [0.5]}, schema)

    def typed(values: list[Any]) -> list[tuple[type, Any]]:
        return [(type(value), value) for value in values]

    (index,) = answer["classes"]
    assert typed(described) == typed(list(labels))
    assert typed(answer["predictions"]) == typed([labels[index]])
    assert sorted(typed(answer["top_k"]["predictions"][0]), key=str) == sorted(typed(list(labels)), key=str)
    for text in texts:
        assert f'mlp_predictions_total{{label="{text}",model="small",version="1"}}' in metrics
