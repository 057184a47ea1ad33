"""The RPCs without a prediction: the documents of the protocol over REST, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from service.errors import MalformedBody
from service.grpc.messages import message
from service.http.protocols.base import Resource, Served


class Document(NamedTuple):
    """An RPC and the resource that answers it. ``wrap`` turns the resource's document into that of the message."""

    path: str
    wrap: Callable[[Any], Any] = lambda document: document


_MODEL: Final = "/v2/models/{name}"
_VERSION: Final = "/versions/{version}"
DOCUMENTS: Final[Mapping[str, Document]] = {
    "ServerLive": Document("/v2/health/live"),
    "ServerReady": Document("/v2/health/ready"),
    "ServerMetadata": Document("/v2"),
    "ModelReady": Document(f"{_MODEL}/ready"),
    "ModelMetadata": Document(_MODEL),
    "ModelConfig": Document(f"{_MODEL}/config", lambda document: {"config": document}),
    "ModelStatistics": Document(f"{_MODEL}/stats"),
    "RepositoryIndex": Document("/v2/repository/index", lambda document: {"models": document}),
    "RepositoryModelLoad": Document("/v2/repository/models/{name}/load"),
    "RepositoryModelUnload": Document("/v2/repository/models/{name}/unload"),
}


class Documents:
    """Answers the RPCs of `DOCUMENTS` from the REST protocol's ``resources``."""

    def __init__(self, resources: Mapping[str, Resource], served: Served) -> None:
        self._resources = resources
        self._served = served
        self._types = {name: (message(f"{name}Request"), message(f"{name}Response")) for name in DOCUMENTS}

    def respond(self, rpc: str, body: bytes) -> bytes:
        """The response's bytes. Raises `RequestError`."""
        of_request, of_response = self._types[rpc]
        try:
            request = of_request.FromString(body)
        except DecodeError as error:
            raise MalformedBody(f"the message is not a {rpc}Request; send it again") from error
        path, wrap = DOCUMENTS[rpc]
        name, version = getattr(request, "name", ""), getattr(request, "version", "")
        if rpc == "ModelStatistics" and not name:
            path = "/v2/models/stats"
        elif version and path.startswith(_MODEL):
            path = path.replace(_MODEL, _MODEL + _VERSION, 1)
        parameters = {"name": name, "version": version} if version else {"name": name}
        response = self._resources[path].respond(self._served, parameters)
        document = wrap(orjson.loads(response.body))
        encoded: bytes = ParseDict(document, of_response(), ignore_unknown_fields=True).SerializeToString()
        return encoded
