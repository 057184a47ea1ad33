"""The interface of a protocol, the only part that knows the format of its requests, responses and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from service.errors import RequestError
from service.http.messages import Request, Response
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.repository import Repository
from service.inference.row_faults import RowFaults
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.lifecycle import Lifecycle


class Options(Protocol):
    """A request's options, which pass from `WireProtocol.decode` to `WireProtocol.encode`."""

    @property
    def timing(self) -> bool:
        """Whether the response gets a server-timing header."""


@runtime_checkable
class PartialOptions(Options, Protocol):
    """Options of a request that may have rows which do not fit the model."""

    @property
    def faults(self) -> RowFaults | None:
        """The rows that do not, which are zeros instead and are not answered."""


O = TypeVar("O", bound=Options)  # noqa: E741 - the options of a protocol
Decoded = tuple[Rows, O]


class Endpoint(NamedTuple):
    """A path's documentation."""

    summary: str
    description: str


@dataclass(frozen=True, slots=True)
class Served:
    """What a `Resource` can tell: the models, and the state of the server.

    ``unready`` is why a request to another worker might hang, or None.
    """

    repository: Repository
    lifecycle: Lifecycle
    unready: Callable[[], str | None] = lambda: None

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here now: this worker takes them, and no other hangs."""
        return self.lifecycle.ready and self.unready() is None


class Resource(NamedTuple):
    """A path that is answered without a prediction, such as a model's metadata.

    ``respond`` gets the path's parameters and the query by name, and raises `RequestError`. It runs on the event loop,
    so it has to be fast. A POST's body is not read. ``responses`` are OpenAPI response objects by status.
    """

    method: Literal["GET", "POST"]
    endpoint: Endpoint
    respond: Callable[[Served, Mapping[str, str]], Response]
    responses: Mapping[int | str, Mapping[str, Any]] = MappingProxyType({})


class BodyFormat(NamedTuple):
    """What tells how many rows a body has before it is read.

    ``row_bytes`` is the most bytes a row can take. None means that it varies: then the bodies of the same ``name``
    before this one are the measure.
    """

    name: str
    row_bytes: float | None


@dataclass(frozen=True, slots=True)
class Operation:
    """The OpenAPI operation of a protocol's paths, and the component schemas it refers to.

    Path parameters, and the headers that every protocol takes, are added by `service.http.openapi`.
    """

    parameters: Sequence[Mapping[str, Any]]
    request_body: Mapping[str, Any]
    responses: Mapping[str, Any]
    schemas: Mapping[str, Any] = field(default_factory=dict)


class WireProtocol(Protocol[O]):
    """One API for predictions. It is stateless, and keeps nothing of a request or a model."""

    @property
    def paths(self) -> Mapping[str, Endpoint]:
        """The paths it answers predictions on; ``{name}`` and ``{version}`` in them are a model's."""

    @property
    def resources(self) -> Mapping[str, Resource]:
        """The paths it answers without a prediction."""

    def decode(self, request: Request, model: Model) -> Decoded[O] | Steps[Decoded[O]]:
        """The rows (rows, features) and options of ``request``; steps if decoding takes long. Raises `RequestError`."""

    def encode(self, outputs: Outputs, options: O, model: Model) -> Response | Steps[Response]:
        """The response with a request's ``outputs``; steps if encoding takes long."""

    def error(self, error: RequestError, request_id: str) -> Response:
        """The response to a request that failed with ``error``."""

    def body_format(self, request: Request, model: Model) -> BodyFormat:
        """The format of a body that has not arrived yet. Raises `RequestError`."""

    def operation(self, models: Sequence[Model]) -> Operation:
        """The documentation of its paths, while these models are served."""
