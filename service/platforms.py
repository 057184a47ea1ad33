"""What cloud platforms say to a container in environment variables and arguments, as options of the server.

Vertex AI: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
Cloud Run: https://cloud.google.com/run/docs/container-contract
SageMaker: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from service.errors import StartError

# SageMaker starts a container with this argument.
SERVE: Final = "serve"
_STORAGE: Final = "AIP_STORAGE_URI"
# The first variable that is set counts.
_VARIABLES: Final = {
    "port": ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT", "PORT"),
    "models": (_STORAGE,),
    "predict_route": ("AIP_PREDICT_ROUTE",),
    "health_route": ("AIP_HEALTH_ROUTE",),
}
_SAGEMAKER_PORT: Final = "8080"
_SAGEMAKER_MODELS: Final = Path("/opt/ml/model")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Given(NamedTuple):
    """The value of an option, and what the platform gives it in."""

    value: str
    source: str


def given(
    environment: Mapping[str, str],
    options: Collection[str],
    *,
    sagemaker: bool,
    sagemaker_models: Path = _SAGEMAKER_MODELS,
) -> dict[str, Given]:
    """What the platform says of ``options``, by name; an empty variable says nothing.

    ``sagemaker`` is true if it started the server with its argument ``serve``: then the port is 8080, and the models
    are those in ``sagemaker_models``, unless that folder is empty. Raises `StartError` for models that are not in a
    folder of this machine.
    """
    found = {}
    for option in options:
        for variable in _VARIABLES.get(option, ()):
            if value := environment.get(variable):
                found[option] = Given(_folder(value) if variable == _STORAGE else value, variable)
                break
    if sagemaker:
        source = f"the argument {SERVE}"
        if "port" in options:
            found.setdefault("port", Given(_SAGEMAKER_PORT, source))
        if "models" in options and _has_children(sagemaker_models):
            found.setdefault("models", Given(str(sagemaker_models), source))
    return found


def _folder(uri: str) -> str:
    """The folder of a path or a file URI. Raises `StartError`."""
    if not _SCHEME.match(uri):
        return uri
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return unquote(parts.path)
    raise StartError(
        f"{_STORAGE} is {uri!r:.200}, expected a folder of this machine; mount the bucket, or copy the models into the "
        "image, and name the folder with --models (MLP_MODELS)"
    )


def _has_children(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
