"""What Vertex AI, Cloud Run and SageMaker say becomes options, below flags and variables of the server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service import platforms
from service.errors import StartError
from service.platforms import Given
from service.settings import load
from tests.service.errors import error_message

OPTIONS = ("port", "models", "predict_route", "health_route", "host")
AWAY = (
    "expected a folder of this machine; mount the bucket, or copy the models into the image, and name the folder with "
    "--models (MLP_MODELS)"
)


def given(environment: dict[str, str], *, sagemaker: bool = False, models: Path = Path("/nowhere")) -> dict[str, Given]:
    return platforms.given(environment, OPTIONS, sagemaker=sagemaker, sagemaker_models=models)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("MLP_", "AIP_", "SAGEMAKER_")) or name == "PORT"]:
        monkeypatch.delenv(name)


def test_vertex() -> None:
    assert given(
        {
            "AIP_HTTP_PORT": "8080",
            "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
            "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
            "AIP_STORAGE_URI": "/mnt/models",
            "PORT": "9",
        }
    ) == {
        "port": Given("8080", "AIP_HTTP_PORT"),
        "models": Given("/mnt/models", "AIP_STORAGE_URI"),
        "predict_route": Given("/v1/endpoints/1/deployedModels/2:predict", "AIP_PREDICT_ROUTE"),
        "health_route": Given("/v1/endpoints/1/deployedModels/2", "AIP_HEALTH_ROUTE"),
    }


def test_cloud_run_and_empty_variables() -> None:
    assert given({"PORT": "8080", "AIP_STORAGE_URI": "", "AIP_HTTP_PORT": ""}) == {"port": Given("8080", "PORT")}


def test_sagemaker(tmp_path: Path) -> None:
    assert given({}, sagemaker=True, models=tmp_path) == {"port": Given("8080", "the argument serve")}
    (tmp_path / "small").mkdir()
    assert given({"SAGEMAKER_BIND_TO_PORT": "9000"}, sagemaker=True, models=tmp_path) == {
        "port": Given("9000", "SAGEMAKER_BIND_TO_PORT"),
        "models": Given(str(tmp_path), "the argument serve"),
    }
    assert given({}, models=tmp_path) == {}


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("/mnt/models", "/mnt/models"),
        ("models", "models"),
        ("file:///mnt/my%20models", "/mnt/my models"),
        ("file://localhost/mnt", "/mnt"),
    ],
)
def test_models_in_a_local_folder(uri: str, folder: str) -> None:
    assert given({"AIP_STORAGE_URI": uri})["models"].value == folder


@pytest.mark.parametrize("uri", ["gs://bucket/models", "s3://bucket/models", "file://host/mnt", "https://example.org"])
def test_models_elsewhere_are_an_error_unless_a_folder_is_named(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIP_STORAGE_URI", uri)
    assert error_message(StartError, load, []) == f"AIP_STORAGE_URI is {uri!r}, {AWAY}"
    assert load(["--models", "here"]).models == Path("here")
    monkeypatch.setenv("MLP_MODELS", "there")
    assert load([]).models == Path("there")


def test_a_flag_wins_over_a_variable_over_the_platform_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load([]).port == 8000
    assert load(["serve"]).port == 8080
    monkeypatch.setenv("PORT", "1000")
    assert load([]).port == 1000
    assert load(["serve"]).port == 1000
    monkeypatch.setenv("AIP_HTTP_PORT", "1001")
    assert load([]).port == 1001
    monkeypatch.setenv("MLP_PORT", "1002")
    assert load(["serve"]).port == 1002
    for arguments in (["--port", "1003"], ["--port=1003"], ["serve", "--port", "1003"]):
        assert load(arguments).port == 1003


@pytest.mark.parametrize("value", ["http", "70000", "tcp://10.0.0.1:80"])
def test_an_error_names_the_variable_of_the_platform(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", value)
    assert error_message(StartError, load, []).startswith(f"PORT is {value!r}: input should be ")
    assert load(["--port", "80"]).port == 80


@pytest.mark.parametrize("arguments", [["serve", "serve"], ["--port", "0", "serve"], ["Serve"]])
def test_serve_is_the_first_argument_or_an_error(arguments: list[str]) -> None:
    assert "unrecognized arguments" in error_message(StartError, load, arguments)
