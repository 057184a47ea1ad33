"""Answers predictions: one function for the fast path and for ASGI, whatever the protocol."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from service.errors import InvalidOption, NotFound, NotReady, RequestError, ServerFailed
from service.http import admission, problems
from service.http.admission import LARGE_BYTES, Arrival
from service.http.limits import BodyBudget
from service.http.messages import Request, Response
from service.http.paths import AnyProtocol
from service.http.protocols.base import Decoded, Options, PartialOptions
from service.http.slices import Slices
from service.imputed import Imputed
from service.inference import imputation
from service.inference.batcher import Job
from service.inference.model import Model
from service.inference.repository import Repository
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.lifecycle import Lifecycle
from service.payloads.payload_log import PayloadLog
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

# Names the columns in which missing or unknown values were imputed.
WARNINGS: Final = b"x-model-warnings"
_STARTING_S: Final = 1.0

Reply = Callable[[Response], None]


class Pending(Protocol):
    """A request that is not answered yet."""

    def cancel(self) -> None:
        """Drop the request: its client is gone."""


class _Decoding:
    """A request whose body is decoded in slices; ``job`` once it is in the queue."""

    cancelled = False

    def __init__(self, model: Model, bodies: BodyBudget, body_bytes: int, arrival: Arrival | None) -> None:
        bodies.acquire(body_bytes)
        model.batcher.acquire()
        self._model = model
        self._bodies = bodies
        self._body_bytes = body_bytes
        self._arrival = arrival
        self._released = False
        self.job: Job | None = None

    def release(self) -> None:
        """Free what the body holds: it is decoded, or never will be."""
        if not self._released:
            self._released = True
            self._bodies.release(self._body_bytes)
            self._model.batcher.release()
            if self._arrival is not None:
                self._arrival.close()

    def cancel(self) -> None:
        """Drop the request."""
        self.cancelled = True
        self.release()
        if self.job is not None:
            self.job.cancel()


class Predict:
    """Sends requests through decoding, the queue and encoding, within their deadlines.

    ``max_s`` is the longest time a request may take, from its record's ``started_s`` on ``clock``. Long decoding and
    encoding is done in slices, one request after the other, and what would block the event loop in a thread; ``bodies``
    counts the bodies that wait for it. ``payloads`` logs the rows and answers of some requests.
    """

    def __init__(
        self,
        repository: Repository,
        lifecycle: Lifecycle,
        *,
        max_s: float,
        clock: Callable[[], float],
        bodies: BodyBudget,
        payloads: PayloadLog | None = None,
    ) -> None:
        self._repository = repository
        self._lifecycle = lifecycle
        self._max_s = max_s
        self._clock = clock
        self._bodies = bodies
        self._payloads = payloads
        self._slices = Slices(clock)

    def __call__(
        self,
        protocol: AnyProtocol,
        request: Request,
        record: RequestRecord,
        reply: Reply,
        arrival: Arrival | None = None,
    ) -> Pending | None:
        """Answer ``request`` through ``reply``, at once or later in the running loop; until then it can be cancelled.

        ``record`` is filled in on the way. ``arrival`` counts the rows of a large body until they are in the queue.
        Nothing is raised: every error becomes a response.
        """
        try:
            if not self._lifecycle.answering:
                raise NotReady(f"the server is {self._lifecycle.state}; try again", _STARTING_S)  # noqa: TRY301 - as all errors here
            model = self._repository.find(request.model, request.version)
            record.model = model.manifest.name
            timeout = request.headers.get(b"x-request-timeout-s")
            deadline_s = record.started_s + (self._max_s if timeout is None else timeout_s(timeout, self._max_s))
            if model.batcher.is_late:
                self._check_late(protocol, request, model)
            clock = self._clock
            record.decode_at_s = started_s = clock()
            decoded = protocol.decode(request, model)
            if model.schema.defaults is not None:
                decoded = _imputing(decoded, model.schema, record)
            record.decode_s = clock() - started_s
            if not isinstance(decoded, tuple):
                return self._decode_in_slices(protocol, model, decoded, request, record, reply, deadline_s, arrival)
            if arrival is not None:
                arrival.close()
            size_bytes = len(request.body)
            if size_bytes > LARGE_BYTES:
                admission.learn(model, protocol.body_format(request, model), size_bytes, len(decoded[0]))
            return self._submit(protocol, model, decoded, record, reply, deadline_s)
        except Exception as error:  # noqa: BLE001 - every request is answered
            if arrival is not None:
                arrival.close()
            self.identify(request, record)
            reply(_error_response(protocol, error, record))
        return None

    def arrive(
        self, protocol: AnyProtocol, request: Request, record: RequestRecord, declared_bytes: int
    ) -> Arrival | None:
        """Start counting a large body of ``declared_bytes``; None if its rows are unknown.

        Raises `Overloaded`, `QueueTooLong` or `DeadlineExceeded` if there is no room or time for them. Other errors are
        left to be found once the body is complete.
        """
        try:
            model = self._repository.find(request.model, request.version)
            record.model = model.manifest.name
            timeout = request.headers.get(b"x-request-timeout-s")
            deadline_s = record.started_s + (self._max_s if timeout is None else timeout_s(timeout, self._max_s))
            body = protocol.body_format(request, model)
        except RequestError:
            return None
        decode_wait_s = self._slices.wait_s() if body.row_bytes is None else 0.0
        admission.check_wait(model, body, declared_bytes, decode_wait_s)
        return admission.begin(model, body, declared_bytes, deadline_s, decode_wait_s)

    def identify(self, request: Request, record: RequestRecord) -> None:
        """Note in ``record`` which model the request is for, if there is one of that name."""
        if not record.model:
            with suppress(NotFound):
                record.model = self._repository.find(request.model, None).manifest.name

    def idle(self) -> bool:
        """Whether nothing waits to be decoded, to run, or to be encoded."""
        return self._slices.idle() and self._repository.idle()

    def close(self) -> None:
        """Answer what still waits to be decoded, or to run, with an error."""
        self._slices.close()
        self._repository.close()

    def _check_late(self, protocol: AnyProtocol, request: Request, model: Model) -> None:
        """Raise `QueueTooLong` before a body is decoded in vain."""
        size_bytes = len(request.body)
        if size_bytes <= LARGE_BYTES:
            model.batcher.check_wait()
        else:
            admission.check_wait(model, protocol.body_format(request, model), size_bytes, 0.0)

    def _submit(
        self,
        protocol: AnyProtocol,
        model: Model,
        decoded: Decoded[Any],
        record: RequestRecord,
        reply: Reply,
        deadline_s: float,
        waited_s: float = 0.0,
    ) -> Job:
        rows, options = decoded
        record.version, record.rows = model.manifest.version, len(rows)
        payload = None
        if self._payloads is not None and self._payloads.chooses(record):
            faults = options.faults if isinstance(options, PartialOptions) else None
            payload = self._payloads.begin(record, model, rows, faults)

        def done(outcome: Outputs | RequestError) -> None:
            record.queue_s += job.queue_s
            record.inference_s = job.inference_s
            if job.inference_s:
                record.inference_at_s = job.accepted_s + job.queue_s
                record.batch_rows = job.batch_rows
            if isinstance(outcome, RequestError):
                reply(_error_response(protocol, outcome, record))
                return
            if payload is not None and self._payloads is not None:
                self._payloads.put(payload, outcome)
            try:
                record.encode_at_s = started_s = self._clock()
                response = protocol.encode(outcome, options, model)
                if isinstance(response, Response):
                    record.encode_s = self._clock() - started_s
                    reply(_with_headers(response, options, record))
                else:
                    encoded = partial(_reply_encoded, protocol, options, record, reply)
                    self._slices.add(response, job, math.inf, encoded, first=True)
            except Exception as error:  # noqa: BLE001 - every request is answered
                reply(_error_response(protocol, error, record))

        if record.take_rows is not None:
            record.take_rows(len(rows))
        job = model.batcher.submit(rows, deadline_s, done, waited_s)
        return job

    def _decode_in_slices(
        self,
        protocol: AnyProtocol,
        model: Model,
        steps: Steps[Decoded[Any]],
        request: Request,
        record: RequestRecord,
        reply: Reply,
        deadline_s: float,
        arrival: Arrival | None,
    ) -> Pending:
        size_bytes = len(request.body)
        body = protocol.body_format(request, model)
        admission.check_wait(model, body, size_bytes, self._slices.wait_s())
        decoding = _Decoding(model, self._bodies, 0 if request.counted else size_bytes, arrival)

        def done(decoded: Decoded[Any] | Exception, spent_s: float, waited_s: float) -> None:
            decoding.release()  # nothing runs between this and `submit`, so a drain cannot end in between
            record.decode_s += spent_s
            record.queue_s = waited_s
            if isinstance(decoded, Exception):
                reply(_error_response(protocol, decoded, record))
                return
            try:
                if size_bytes > LARGE_BYTES:
                    admission.learn(model, body, size_bytes, len(decoded[0]))
                decoding.job = self._submit(protocol, model, decoded, record, reply, deadline_s, waited_s)
            except Exception as error:  # noqa: BLE001 - every request is answered
                reply(_error_response(protocol, error, record))

        large = size_bytes > LARGE_BYTES
        self._slices.add(steps, decoding, deadline_s, done, size_bytes=size_bytes, is_large=large)
        return decoding


def timeout_s(header: bytes, max_s: float) -> float:
    """Seconds that ``x-request-timeout-s`` allows, at most ``max_s``. Raises `InvalidOption`."""
    try:
        requested_s = 0.0 if b"_" in header else float(header)  # Python alone allows 1_0
    except ValueError:
        requested_s = 0.0
    if not requested_s > 0:
        shown = header[:60].decode("latin-1")
        raise InvalidOption(f"header x-request-timeout-s is {shown!r}, expected a number of seconds over 0")
    return min(requested_s, max_s)


def _reply_encoded(
    protocol: AnyProtocol,
    options: Options,
    record: RequestRecord,
    reply: Reply,
    response: Response | Exception,
    spent_s: float,
    _waited_s: float,
) -> None:
    record.encode_s = spent_s
    if isinstance(response, Exception):
        reply(_error_response(protocol, response, record))
    else:
        reply(_with_headers(response, options, record))


def _imputing(
    decoded: Decoded[Any] | Steps[Decoded[Any]], schema: Schema, record: RequestRecord
) -> Decoded[Any] | Steps[Decoded[Any]]:
    """``decoded`` with defaults for missing and unknown values, which are noted in ``record``; many rows in steps."""
    if not isinstance(decoded, tuple) or imputation.is_large(decoded[0]):
        return _imputing_in_steps(decoded, schema, record)
    imputed = Imputed()
    rows = imputation.impute(decoded[0], schema, imputed)
    record.imputed = imputed if imputed.rows else None
    return rows, decoded[1]


def _imputing_in_steps(
    decoded: Decoded[Any] | Steps[Decoded[Any]], schema: Schema, record: RequestRecord
) -> Steps[Decoded[Any]]:
    rows, options = decoded if isinstance(decoded, tuple) else (yield from decoded)
    imputed = Imputed()
    rows = yield from imputation.impute_in_steps(rows, schema, imputed)
    record.imputed = imputed if imputed.rows else None
    return rows, options


def _error_response(protocol: AnyProtocol, error: Exception, record: RequestRecord) -> Response:
    if not isinstance(error, RequestError):
        _log.error("request %s failed", record.request_id, exc_info=error)
        error = ServerFailed()
    record.problem = problems.name_of(error)
    return protocol.error(error, record.request_id)


def _with_headers(response: Response, options: Options, record: RequestRecord) -> Response:
    """``response`` with the headers that only some have."""
    if record.imputed is not None:
        warning = (WARNINGS, record.imputed.warning().encode("ascii"))
        response = replace(response, headers=(*response.headers, warning))
    return _with_timing(response, record) if options.timing else response


def _with_timing(response: Response, record: RequestRecord) -> Response:
    """``response`` with the stages in milliseconds: https://www.w3.org/TR/server-timing/."""
    stages = {
        "decode": record.decode_s,
        "queue": record.queue_s,
        "infer": record.inference_s,
        "encode": record.encode_s,
    }
    value = ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages.items()).encode()
    return replace(response, headers=(*response.headers, (b"server-timing", value)))
