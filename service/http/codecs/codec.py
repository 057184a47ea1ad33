"""The interface of a codec: bodies to rows, outputs to bodies, and what OpenAPI says of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from service.http.messages import Headers
from service.http.options import Options, RowOptions
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.manifest import Manifest


class PartialRows(NamedTuple):
    """Rows of which some do not fit the model: those are zeros, and in ``faults``."""

    rows: Rows
    faults: RowFaults


DecodedRows = Rows | PartialRows
# Each takes the body, the options and the model's schema, and raises `MalformedBody`, `InvalidInput`, or
# `UnsupportedMedia` if the model takes no rows of this kind.
Decode = Callable[[bytes, RowOptions, Schema], DecodedRows | Steps[DecodedRows]]
Encode = Callable[[Manifest, Options, Outputs], bytes | Steps[bytes]]
MediaObject = dict[str, Any]  # https://spec.openapis.org/oas/v3.1.0#media-type-object


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding. ``media_types`` are the names it is selected by, in lower case; the first one is documented.

    ``describe`` gives the OpenAPI media type object of a request body for these models, or None if none of them takes
    such a body. A codec that also writes answers has ``encode``, ``describe_answer``, and ``schemas`` for the
    document's components. ``is_text`` says that a charset may be declared. ``row_bytes`` is the most bytes a row
    can take, or None if its length varies.
    """

    media_types: tuple[bytes, ...]
    decode: Decode
    describe: Callable[[Sequence[Model]], MediaObject | None]
    is_text: bool = False
    row_bytes: Callable[[RowOptions, Schema], float | None] = lambda _options, _schema: None
    encode: Encode | None = None
    describe_answer: Callable[[Sequence[Model]], MediaObject] | None = None
    schemas: Callable[[Sequence[Model]], Mapping[str, Any]] = lambda _models: {}
    headers: Headers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", ((b"content-type", self.media_types[0]),))

    @property
    def name(self) -> str:
        """The documented media type."""
        return self.media_types[0].decode()


def with_faults(rows: Rows | Steps[Rows], faults: RowFaults) -> Rows | Steps[DecodedRows]:
    """What a decoder that notes ``faults`` returns. Raises `InvalidInput`, in the last step, if no row fits."""
    return rows if isinstance(rows, np.ndarray) else steps_with_faults(rows, faults)


def steps_with_faults(steps: Steps[Rows], faults: RowFaults) -> Steps[DecodedRows]:
    """The same for a decoder that always takes steps."""
    rows = yield from steps
    if not faults:
        return rows
    faults.check(len(rows))
    return PartialRows(rows, faults)


def binary(description: str) -> MediaObject:
    """The media type object of a body that is not text."""
    return {"schema": {"type": "string", "format": "binary", "description": description}}
