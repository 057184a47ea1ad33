"""Which model answers requests without a model name, and what the log says of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from service.errors import NotFound
from service.inference.model import Model
from service.inference.repository import Repository
from tests.service.inference.loading import load_newest, serving
from tests.service.published import publish


def loaded(folder: Path, name: str) -> Model:
    publish(folder, name)
    return load_newest(folder, name)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "service.inference.repository"]


@pytest.mark.anyio
async def test_the_only_model_stays_the_default_and_the_log_says_what_a_restart_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "service.inference.repository")
    one, two, three = (loaded(tmp_path, name) for name in ("one", "two", "three"))
    repository = Repository(serving(one), None)
    for model in (two, three):
        await repository.swap(model.manifest.name, serving(model)[model.manifest.name])
    assert repository.find(None, None) is one
    assert said(caplog) == [
        "there are several models now: one, two; POST /predict stays with one, the only one at the start, and is "
        "answered with 404 after a restart without --model (MLP_MODEL)"
    ]


@pytest.mark.anyio
async def test_a_model_that_was_named_needs_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = (loaded(tmp_path, name) for name in ("one", "two"))
    repository = Repository(serving(one), "one")
    await repository.swap("two", serving(two)["two"])
    assert (repository.default_name, said(caplog)) == ("one", [])


def test_several_models_have_no_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    models = [loaded(tmp_path, f"m{index:02}") for index in range(22)]
    repository = Repository(serving(*models), None)
    names = ", ".join(f"m{index:02}" for index in range(20))
    assert said(caplog) == [
        "there are several models and no --model (MLP_MODEL): POST /predict is answered with 404, and each model at "
        f"/models/<name>/predict: {names} and 2 more"
    ]
    with pytest.raises(NotFound, match="m19 and 2 more; send to /models/<name>/predict"):
        repository.find(None, None)
