"""Models found by name and version, swapped under traffic, and closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service import metrics
from service.errors import NotFound, NotReady, RequestError, StartError
from service.inference.model import Model
from service.inference.repository import Repository
from service.inference.session import Outputs
from tests.service.inference.loading import loader
from tests.service.published import publish

ROW = np.ones((1, 4), np.float32)


def test_models_are_found_by_name_and_version(tmp_path: Path) -> None:
    publish(tmp_path, "one", version=3)
    publish(tmp_path, "two")
    models = loader(tmp_path).load_all()
    several, only, chosen = Repository(models, None), Repository(models[:1], None), Repository(models, "two")
    assert several.find("one", None) is several.find("one", "3") is only.find(None, None) is models[0]
    assert chosen.find(None, None) is models[1]
    assert list(several) == models


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        (
            None,
            None,
            "there are several models: one, two; send to /models/<name>/predict, or start the server with --model",
        ),
        ("three", None, "there is no model 'three'; there are: one, two"),
        ("one", "2", "model 'one' has no version '2' here; it is served in version 3"),
        ("one", "03", "model 'one' has no version '03' here; it is served in version 3"),
    ],
)
def test_the_error_for_an_unknown_model_lists_the_known_ones(
    tmp_path: Path, name: str | None, version: str | None, message: str
) -> None:
    publish(tmp_path, "one", version=3)
    publish(tmp_path, "two")
    with pytest.raises(NotFound) as refused:
        Repository(loader(tmp_path).load_all(), None).find(name, version)
    assert str(refused.value) == message


def test_an_unknown_default_model_keeps_the_server_from_starting(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(StartError) as refused:
        Repository(loader(tmp_path).load_all(), "large")
    assert str(refused.value) == "--model (MLP_MODEL) is 'large', and there are: small"


# Swapping versions


def ask(model: Model) -> list[Outputs | RequestError]:
    """Where the answer to one row arrives."""
    answers: list[Outputs | RequestError] = []
    model.batcher.submit(ROW, 1e9, answers.append)
    return answers


@pytest.mark.anyio
async def test_a_request_ends_on_the_version_it_began_with_and_the_next_one_gets_the_new_version(
    tmp_path: Path,
) -> None:
    counted = metrics.alone()
    publish(tmp_path, version=1)
    repository = Repository([loader(tmp_path, counted=counted).load("small")], None)
    old = repository.find(None, None)
    answers = ask(old)
    publish(tmp_path, version=2)
    new = loader(tmp_path, counted=counted).load("small")
    swap = asyncio.ensure_future(repository.swap(new))
    await asyncio.sleep(0)
    assert repository.find(None, None) is repository.find("small", "2") is new
    assert list(repository) == [new]
    await swap
    assert isinstance(answers[0], Outputs)
    with pytest.raises(NotReady):
        ask(old)
    assert b'mlp_model_info{model="small",precision="fp32",provider="cpu",version="1"} 0.0' in counted.exposition()
    assert b'mlp_model_info{model="small",precision="fp32",provider="cpu",version="2"} 1.0' in counted.exposition()
    repository.close()


@pytest.mark.anyio
async def test_a_swap_waits_for_a_request_that_is_still_decoded(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    repository = Repository(loader(tmp_path).load_all(), None)
    old = repository.find(None, None)
    old.batcher.acquire()
    publish(tmp_path, version=2)
    swap = asyncio.ensure_future(repository.swap(loader(tmp_path).load("small")))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not swap.done()
    old.batcher.release()
    answers = ask(old)
    await swap
    assert isinstance(answers[0], Outputs)
    repository.close()


@pytest.mark.anyio
async def test_a_model_with_a_new_name_is_added_and_the_default_stays(tmp_path: Path) -> None:
    publish(tmp_path, "one")
    repository = Repository(loader(tmp_path).load_all(), None)
    publish(tmp_path, "two")
    await repository.swap(loader(tmp_path).load("two"))
    assert [model.manifest.name for model in repository] == ["one", "two"]
    assert repository.find(None, None).manifest.name == "one"
    repository.close()


@pytest.mark.anyio
async def test_closing_also_ends_a_version_that_is_being_drained(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    repository = Repository(loader(tmp_path).load_all(), None)
    old = repository.find(None, None)
    old.batcher.acquire()
    publish(tmp_path, version=2)
    swap = asyncio.ensure_future(repository.swap(loader(tmp_path).load("small")))
    await asyncio.sleep(0)
    answers = ask(old)
    repository.close()
    assert isinstance(answers[0], NotReady)
    old.batcher.release()
    await swap
