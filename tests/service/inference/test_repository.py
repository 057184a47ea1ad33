"""Models found by name and version, swapped under traffic, and closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from service.errors import NotFound, NotReady, RequestError, StartError
from service.inference.model import Model
from service.inference.repository import Repository
from service.inference.session import Outputs
from service.inference.versions import ModelVersions
from tests.service.inference.loading import load_newest, serving
from tests.service.published import publish

ROW = np.ones((1, 4), np.float32)


def models_of(folder: Path) -> dict[str, ModelVersions]:
    """Every model in its newest version."""
    return serving(*(load_newest(folder, name) for name in artifact.model_names(folder)))


def test_models_are_found_by_name_and_version(tmp_path: Path) -> None:
    publish(tmp_path, "one", version=3)
    publish(tmp_path, "two")
    one, two = load_newest(tmp_path, "one"), load_newest(tmp_path, "two")
    several, only = Repository(serving(one, two), None), Repository(serving(one), None)
    with_default = Repository(serving(one, two), "two")
    assert several.find("one", None) is several.find("one", "3") is only.find(None, None) is one
    assert with_default.find(None, None) is two
    assert list(several) == [one, two]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        (
            None,
            None,
            "there are several models: one, two; send to /models/<name>/predict, or start the server with --model",
        ),
        ("three", None, "there is no model 'three'; there are: one, two"),
        ("one", "2", "model 'one' has no version '2' here; loaded are: 3"),
        ("one", "03", "model 'one' has no version '03' here; loaded are: 3"),
    ],
)
def test_the_error_for_an_unknown_model_lists_the_known_ones(
    tmp_path: Path, name: str | None, version: str | None, message: str
) -> None:
    publish(tmp_path, "one", version=3)
    publish(tmp_path, "two")
    with pytest.raises(NotFound) as refused:
        Repository(models_of(tmp_path), None).find(name, version)
    assert str(refused.value) == message


def test_an_unknown_default_model_keeps_the_server_from_starting(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(StartError) as refused:
        Repository(models_of(tmp_path), "large")
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
    publish(tmp_path, version=1)
    repository = Repository(models_of(tmp_path), None)
    old = repository.find(None, None)
    answers = ask(old)
    publish(tmp_path, version=2)
    new = load_newest(tmp_path)
    swap = asyncio.ensure_future(repository.swap("small", ModelVersions.of(new)))
    await asyncio.sleep(0)
    assert repository.find(None, None) is repository.find("small", "2") is new
    assert list(repository) == [new]
    await swap
    assert isinstance(answers[0], Outputs)
    with pytest.raises(NotReady):
        ask(old)
    repository.close()


@pytest.mark.anyio
async def test_a_swap_waits_for_a_request_that_is_still_decoded(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    repository = Repository(models_of(tmp_path), None)
    old = repository.find(None, None)
    old.batcher.acquire()
    publish(tmp_path, version=2)
    swap = asyncio.ensure_future(repository.swap("small", ModelVersions.of(load_newest(tmp_path))))
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
    repository = Repository(models_of(tmp_path), None)
    publish(tmp_path, "two")
    await repository.swap("two", ModelVersions.of(load_newest(tmp_path, "two")))
    assert [model.manifest.name for model in repository] == ["one", "two"]
    assert repository.find(None, None).manifest.name == "one"
    repository.close()


@pytest.mark.anyio
async def test_a_version_that_is_kept_answers_under_its_number(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    repository = Repository(models_of(tmp_path), None)
    old = repository.find(None, None)
    publish(tmp_path, version=2)
    new = load_newest(tmp_path)
    await repository.swap("small", ModelVersions.of(new, old))
    assert repository.find("small", None) is repository.find("small", "2") is new
    assert repository.find("small", "1") is old
    answers = ask(old)
    await repository.swap("small", ModelVersions.of(new))
    assert isinstance(answers[0], Outputs)
    with pytest.raises(NotFound, match="model 'small' has no version '1' here; loaded are: 2"):
        repository.find("small", "1")
    repository.close()


@pytest.mark.anyio
async def test_a_model_is_removed(tmp_path: Path) -> None:
    publish(tmp_path, "one")
    publish(tmp_path, "two")
    repository = Repository(models_of(tmp_path), "one")
    gone = repository.find("two", None)
    answers = ask(gone)
    await repository.swap("two", None)
    assert isinstance(answers[0], Outputs)
    assert repository.names() == ["one"]
    with pytest.raises(NotFound, match="there is no model 'two'; there are: one"):
        repository.find("two", None)
    with pytest.raises(NotReady):
        ask(gone)
    repository.close()


def test_a_version_that_is_loading_is_listed(tmp_path: Path) -> None:
    publish(tmp_path)
    repository = Repository(models_of(tmp_path), None)
    repository.loading(("small", 2))
    assert [(each.version, each.state, each.loaded) for each in repository.statuses("small")] == [
        (2, "loading", False),
        (1, "serving", True),
    ]
    repository.loading(None)
    assert [each.version for each in repository.statuses("small")] == [1]


@pytest.mark.anyio
async def test_closing_also_ends_a_version_that_is_being_drained(tmp_path: Path) -> None:
    publish(tmp_path, version=1)
    repository = Repository(models_of(tmp_path), None)
    old = repository.find(None, None)
    old.batcher.acquire()
    publish(tmp_path, version=2)
    swap = asyncio.ensure_future(repository.swap("small", ModelVersions.of(load_newest(tmp_path))))
    await asyncio.sleep(0)
    answers = ask(old)
    repository.close()
    assert isinstance(answers[0], NotReady)
    old.batcher.release()
    await swap
