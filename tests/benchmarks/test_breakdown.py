"""The breakdown times the stages of a request."""

from __future__ import annotations

import pytest

from benchmarks import breakdown, load, payloads, provenance, wire
from service import app, metrics
from service.settings import Settings


@pytest.mark.parametrize("kind", ["json", "raw"])
def test_every_stage_is_timed(kind: str) -> None:
    service = app.build(Settings(models=provenance.MODEL.parents[1]), None, metrics.alone())
    request = wire.request(payloads.body(kind, 1), load.CONTENT_TYPES[kind], load.query_of("ours", kind))
    stages = breakdown.in_memory(service, request, connections=4, turns=100)
    assert list(stages) == [*breakdown.STAGES, breakdown.OTHER]
    assert all(stages[stage] != 0 for stage in breakdown.STAGES), stages
