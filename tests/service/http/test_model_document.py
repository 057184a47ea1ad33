"""What the server says of a version is JSON, also once it has read rows."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

from service import app, metrics
from service.cells import Cells
from service.settings import Settings
from tests.service.http.transport.both_paths import BothPaths
from tests.service.published import TABLE, publish, rewrite
from tests.service.running import post

PERSON = {"age": "-999", "height": "1,8", "member": True, "country": "Italy", "job": "pilot"}


def test_the_rules_for_cells_are_part_of_it_before_and_after_they_were_used(tmp_path: Path) -> None:
    publish(tmp_path, "table", features=TABLE)
    cells = dataclasses.asdict(Cells(missing_numbers=("-999",), decimal=","))
    rewrite(tmp_path / "table" / "1", lambda document: document.update(cells=cells))
    service = app.build(Settings(models=tmp_path), None, metrics.alone())

    async def described() -> list[object]:
        both = BothPaths(service)
        found = []
        async with service.app.router.lifespan_context(service.app):
            for _ in range(2):
                answers = await both.raw_responses(b"GET /models/table HTTP/1.1\r\nhost: test\r\n\r\n")
                found += [json.loads(each.partition(b"\r\n\r\n")[2])["cells"] for each in answers]
                predicted, _ = await both.raw_responses(post({"inputs": [PERSON]}))
                assert predicted.startswith(b"HTTP/1.1 200"), predicted
        return found

    assert asyncio.run(described()) == [json.loads(json.dumps(cells))] * 4
