"""POST /predict and its named-model twins: one function behind both doors, bytes and headers in, an answer out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import numpy as np

from service.errors import NotReady, RequestError, ServerFailed, UnsupportedMedia
from service.http import options, problems
from service.http.admission import LARGE_BYTES, Arrival, Arrivals
from service.http.codecs import json_answers, media_types, npy
from service.http.codecs.arrays import rows_from_npy, rows_from_raw
from service.http.codecs.json_rows import quick_rows, rows_in_steps
from service.http.limits import BodyBudget
from service.http.messages import JSON_HEADERS, NPY_HEADERS, Request, Response
from service.http.options import Options
from service.http.slices import Slices
from service.inference.batcher import Job, Rows
from service.inference.repository import Model, Repository
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import Steps, T, finish
from service.lifecycle import Lifecycle
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

_STARTING_S: Final = 1.0
# What is read in steps is so small that they are taken at once; and so much of a compressed body is.
_AT_ONCE_BYTES: Final = 32 * 1024
_INFLATED_AT_ONCE: Final = 4  # steps
_HEADER_BYTES: Final = 512

Headers = tuple[tuple[bytes, bytes], ...]
Reply = Callable[[Response], None]
Read = Callable[[bytes, str | None, Schema], Rows | Steps[Rows]]


def _json(body: bytes, _dtype: str | None, schema: Schema) -> Rows | Steps[Rows]:
    rows = quick_rows(body, schema)
    return rows_in_steps(body, schema) if rows is None else rows


_TEXTS: Final[dict[bytes, Read]] = {
    media_types.JSON: _json,
    # What `curl -d` says of a body where nobody told it better.
    b"application/x-www-form-urlencoded": _json,
}
_READERS: Final[dict[bytes, Read]] = {
    **_TEXTS,
    b"application/octet-stream": rows_from_raw,
    media_types.NPY: lambda body, _dtype, schema: rows_from_npy(body, schema),
}


class Pending(Protocol):
    """A request that is not answered yet."""

    def cancel(self) -> None:
        """Nobody waits for the answer any more: it is not given."""


class _Decoding:
    """A request whose body is read in slices; once it is, the ``job`` that its rows are."""

    cancelled = False

    def __init__(self, bodies: BodyBudget, body_bytes: int, arrival: Arrival | None) -> None:
        bodies.acquire(body_bytes)
        self._bodies = bodies
        self._body_bytes = body_bytes
        self._arrival = arrival
        self.job: Job | None = None

    def let_go(self) -> None:
        """The body is read, or nobody will read it."""
        self._bodies.release(self._body_bytes)
        self._body_bytes = 0
        if self._arrival is not None:
            self._arrival.close()

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self.cancelled = True
        self.let_go()
        if self.job is not None:
            self.job.cancel()


class Predict:
    """Answers predictions with the live models.

    ``max_body_bytes`` bounds a body after decompression, ``max_rows`` its rows; ``longest_s`` is how long a request may
    take in all, told from its record's ``started_s`` on ``clock``. What takes long to read or to write is done in
    slices, one request after the other; ``bodies`` counts the bodies that wait for it.
    """

    def __init__(
        self,
        repository: Repository,
        lifecycle: Lifecycle,
        *,
        max_body_bytes: int,
        max_rows: int,
        longest_s: float,
        clock: Callable[[], float],
        bodies: BodyBudget,
    ) -> None:
        self.max_rows = max_rows
        self._repository = repository
        self._lifecycle = lifecycle
        self._max_body_bytes = max_body_bytes
        self._longest_s = longest_s
        self._clock = clock
        self._arrivals = Arrivals()
        self._bodies = bodies
        self._slices = Slices(clock)
        self._schemas = {model.manifest.name: Schema.of(model.manifest, max_rows) for model in repository}

    def __call__(
        self, request: Request, record: RequestRecord, reply: Reply, arrival: Arrival | None = None
    ) -> Pending | None:
        """Answer ``request`` through ``reply``, now or later in the running loop; till then it can be cancelled.

        ``record`` is filled in on the way. ``arrival`` counts the rows of a large body until they are in the queue.
        Nothing is raised: whatever goes wrong becomes an answer.
        """
        try:
            return self._accept(request, record, reply, arrival)
        except Exception as error:  # noqa: BLE001 - every request is answered
            if arrival is not None:
                arrival.close()
            reply(self._refusal(error, record))
        return None

    def arrive(self, request: Request, record: RequestRecord, declared_bytes: int) -> Arrival | None:
        """Begin to read a large body, of ``declared_bytes``: None where it counts for no rows that are known.

        Raises `Overloaded` or `DeadlineExceeded` where they would find no room or time. Whatever else is wrong is told
        once it is whole.
        """
        try:
            model = self._repository.find(request.model, request.version)
            dtype = options.from_query(request.query, len(model.manifest.classes)).dtype
            deadline_s = record.started_s + options.timeout_s(request.headers, self._longest_s)
        except RequestError:
            return None
        schema = self._schemas[model.manifest.name]
        return self._arrivals.begin(model, schema, dtype, request, declared_bytes, deadline_s)

    def close(self) -> None:
        """Tell what still waits to be read, or to be run, that it will not be."""
        self._slices.close()
        for model in self._repository:
            model.batcher.close()

    def _accept(self, request: Request, record: RequestRecord, reply: Reply, arrival: Arrival | None) -> Pending:
        if not self._lifecycle.answering:
            raise NotReady(f"the server is {self._lifecycle.state}; try again", _STARTING_S)
        model = self._repository.find(request.model, request.version)
        manifest = model.manifest
        chosen = options.from_query(request.query, len(manifest.classes))
        accept = request.headers.get(b"accept")
        as_npy = accept is not None and media_types.prefers_npy(accept[:_HEADER_BYTES])
        deadline_s = record.started_s + options.timeout_s(request.headers, self._longest_s)
        decode_from_s = self._clock()
        read = self._read(request, chosen.dtype, self._schemas[manifest.name])
        record.decode_s = self._clock() - decode_from_s
        if isinstance(read, np.ndarray):
            if arrival is not None:
                arrival.close()
            if len(request.body) > LARGE_BYTES:
                self._arrivals.learn(model, request, len(request.body), len(read))
            return self._submit(model, chosen, record, reply, read, deadline_s, as_npy=as_npy)
        size_bytes = len(request.body)
        decoding = _Decoding(self._bodies, 0 if request.counted else size_bytes, arrival)

        def decoded(rows: Rows | Exception, spent_s: float, waited_s: float) -> None:
            decoding.let_go()
            record.decode_s += spent_s
            record.queue_s = waited_s
            try:
                if size_bytes > LARGE_BYTES:
                    self._arrivals.learn(model, request, size_bytes, len(_good(rows)))
                decoding.job = self._submit(model, chosen, record, reply, _good(rows), deadline_s, as_npy=as_npy)
            except Exception as error:  # noqa: BLE001 - every request is answered
                reply(self._refusal(error, record))

        self._slices.add(read, decoding, deadline_s, decoded)
        return decoding

    def _read(self, request: Request, dtype: str | None, schema: Schema) -> Rows | Steps[Rows]:
        """The rows, or what is to be done for them and takes long."""
        headers, body = request.headers, request.body
        read = _reader(headers.get(b"content-type", media_types.JSON))
        encoding = headers.get(b"content-encoding")
        if encoding is not None and media_types.is_gzip(encoding):
            inflating = media_types.inflated(body, self._max_body_bytes)
            try:
                for _ in range(_INFLATED_AT_ONCE):
                    next(inflating)
                return _read_later(inflating, read, dtype, schema)
            except StopIteration as end:
                body = end.value
        rows = read(body, dtype, schema)
        if isinstance(rows, np.ndarray) or len(body) > _AT_ONCE_BYTES:
            return rows
        return finish(rows)

    def _submit(
        self,
        model: Model,
        chosen: Options,
        record: RequestRecord,
        reply: Reply,
        rows: Rows,
        deadline_s: float,
        *,
        as_npy: bool,
    ) -> Job:
        record.model, record.version, record.rows = model.manifest.name, model.manifest.version, len(rows)

        def done(outcome: Outputs | RequestError) -> None:
            record.queue_s, record.inference_s = record.queue_s + job.queue_s, job.inference_s
            if isinstance(outcome, RequestError):
                reply(self._refusal(outcome, record))
                return
            try:
                encode_from_s = self._clock()
                if as_npy:
                    body = npy.write(outcome.prediction if outcome.probabilities is None else outcome.probabilities)
                    headers = NPY_HEADERS
                elif json_answers.is_large(outcome, chosen):
                    steps = json_answers.encode_in_steps(model.manifest, chosen, outcome)
                    encoded = partial(self._answer_large, chosen, record, reply)
                    self._slices.add(steps, job, math.inf, encoded, first=True)
                    return
                else:
                    body, headers = json_answers.encode(model.manifest, chosen, outcome), JSON_HEADERS
                record.encode_s = self._clock() - encode_from_s
                reply(_response(body, headers, chosen, record))
            except Exception as error:  # noqa: BLE001 - every request is answered
                reply(self._refusal(error, record))

        job = model.batcher.submit(rows, deadline_s, done)
        return job

    def _answer_large(
        self,
        chosen: Options,
        record: RequestRecord,
        reply: Reply,
        body: bytes | Exception,
        spent_s: float,
        _waited_s: float,
    ) -> None:
        record.encode_s = spent_s
        if isinstance(body, Exception):
            reply(self._refusal(body, record))
        else:
            reply(_response(body, JSON_HEADERS, chosen, record))

    def _refusal(self, error: Exception, record: RequestRecord) -> Response:
        if not isinstance(error, RequestError):
            _log.error("request %s failed", record.request_id, exc_info=error)
            error = ServerFailed()
        record.problem = problems.name_of(error)
        return problems.response(error, record.request_id)


def _good(result: T | Exception) -> T:
    """What something came to; the error is raised that it was."""
    if isinstance(result, Exception):
        raise result
    return result


def _reader(content_type: bytes) -> Read:
    read = _READERS.get(content_type)
    if read is None:
        media = media_types.media_type(content_type[:_HEADER_BYTES])
        read = _READERS.get(media.name)
        if read is None:
            shown, known = content_type[:60].decode("latin-1"), b", ".join(_READERS).decode()
            raise UnsupportedMedia(f"content-type is {shown!r}, expected one of {known}")
        if media.name in _TEXTS:
            media_types.check_charset(media)
    return read


def _read_later(inflating: Steps[bytes], read: Read, dtype: str | None, schema: Schema) -> Steps[Rows]:
    body = yield from inflating
    rows = read(body, dtype, schema)
    return rows if isinstance(rows, np.ndarray) else (yield from rows)


def _response(body: bytes, headers: Headers, chosen: Options, record: RequestRecord) -> Response:
    if chosen.timing:
        headers = (*headers, (b"server-timing", _server_timing(record)))
    return Response(200, headers, body)


def _server_timing(record: RequestRecord) -> bytes:
    """The stages as https://www.w3.org/TR/server-timing/ writes them, in milliseconds."""
    stages = {
        "decode": record.decode_s,
        "queue": record.queue_s,
        "infer": record.inference_s,
        "encode": record.encode_s,
    }
    return ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages.items()).encode()
