"""POST /predict and its named-model twins: one function behind both doors, bytes and headers in, an answer out."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import (
    BodyTooLarge,
    MalformedBody,
    NotReady,
    RequestError,
    ServerFailed,
    UnsupportedMedia,
)
from service.http import options as wishes
from service.http import problems
from service.http.arrays import npy_from, rows_from_npy, rows_from_raw
from service.http.arrivals import LARGE_BYTES, Arrival, Arrivals
from service.http.messages import JSON_HEADERS, NPY_HEADERS, Request, Response
from service.http.options import Options
from service.http.schema import Schema
from service.http.tensors import rows_from_json
from service.inference.batcher import Job, Rows
from service.inference.repository import Model, Repository
from service.inference.session import Outputs
from service.journal import Record
from service.lifecycle import Lifecycle
from service.manifest import Label, Manifest

_log = logging.getLogger(__name__)

_STARTING_S: Final = 1.0
_JSON: Final = b"application/json"
_NPY: Final = b"application/x-npy"
_READERS: Final[dict[bytes, Callable[[bytes, str | None, Schema], Rows]]] = {
    _JSON: lambda body, _dtype, schema: rows_from_json(body, schema),
    # What `curl -d` says of a body where nobody told it better.
    b"application/x-www-form-urlencoded": lambda body, _dtype, schema: rows_from_json(body, schema),
    b"application/octet-stream": rows_from_raw,
    _NPY: lambda body, _dtype, schema: rows_from_npy(body, schema),
}
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS

Reply = Callable[[Response], None]


class Predict:
    """Answers predictions with the live models.

    ``max_body_bytes`` bounds a body after decompression, ``max_rows`` its rows; ``longest_s`` is how long a request may
    take in all, told from its record's ``started_s`` on ``clock``.
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
    ) -> None:
        self._repository = repository
        self._lifecycle = lifecycle
        self._max_body_bytes = max_body_bytes
        self._longest_s = longest_s
        self._clock = clock
        self._arrivals = Arrivals()
        self._schemas = {model.manifest.name: Schema.of(model.manifest, max_rows) for model in repository}

    def __call__(self, request: Request, record: Record, reply: Reply) -> Job | None:
        """Answer ``request`` through ``reply``, now or when the network has run; the job can be cancelled till then.

        ``record`` is filled in on the way. Nothing is raised: whatever goes wrong becomes an answer.
        """
        try:
            return self._accept(request, record, reply)
        except RequestError as error:
            record.problem = problems.name_of(error)
            reply(problems.response(error, record.request_id))
        except Exception:  # noqa: BLE001 - every request is answered
            reply(self._unforeseen(record))
        return None

    def arrive(self, request: Request, record: Record, declared_bytes: int) -> Arrival | None:
        """Begin to read a large body, of ``declared_bytes``: None where it counts for no rows that are known.

        Raises `Overloaded` or `DeadlineExceeded` where they would find no room or time. Whatever else is wrong is told
        once it is whole.
        """
        try:
            model = self._repository.find(request.model, request.version)
            dtype = wishes.from_query(request.query, len(model.manifest.classes)).dtype
            deadline_s = record.started_s + wishes.timeout_s(request.headers, self._longest_s)
        except RequestError:
            return None
        schema = self._schemas[model.manifest.name]
        return self._arrivals.begin(model, schema, dtype, request, declared_bytes, deadline_s)

    def close(self) -> None:
        """Tell what still waits to be run that it will not be."""
        for model in self._repository:
            model.batcher.close()

    def _accept(self, request: Request, record: Record, reply: Reply) -> Job:
        if not self._lifecycle.answering:
            raise NotReady(f"the server is {self._lifecycle.state}; try again", _STARTING_S)
        model = self._repository.find(request.model, request.version)
        manifest = model.manifest
        chosen = wishes.from_query(request.query, len(manifest.classes))
        deadline_s = record.started_s + wishes.timeout_s(request.headers, self._longest_s)
        decode_from_s = self._clock()
        rows = self._rows(request, chosen.dtype, self._schemas[manifest.name])
        record.decode_s = self._clock() - decode_from_s
        record.model, record.version, record.rows = manifest.name, manifest.version, len(rows)
        if len(request.body) > LARGE_BYTES:
            self._arrivals.learn(model, request, len(rows))

        def done(outcome: Outputs | RequestError) -> None:
            try:
                reply(self._answer(model, chosen, request, record, job, outcome))
            except Exception:  # noqa: BLE001 - every request is answered
                reply(self._unforeseen(record))

        job = model.batcher.submit(rows, deadline_s, done)
        return job

    def _rows(self, request: Request, dtype: str | None, schema: Schema) -> Rows:
        media = request.headers.get(b"content-type", _JSON)
        if media not in _READERS:
            media = media.split(b";", 1)[0].strip().lower()
        read = _READERS.get(media)
        if read is None:
            shown, known = media[:60].decode("latin-1"), b", ".join(_READERS).decode()
            raise UnsupportedMedia(f"content-type is {shown!r}, expected one of {known}")
        encoding = request.headers.get(b"content-encoding")
        body = request.body if encoding is None else _expanded(request.body, encoding, self._max_body_bytes)
        return read(body, dtype, schema)

    def _answer(
        self,
        model: Model,
        chosen: Options,
        request: Request,
        record: Record,
        job: Job,
        outcome: Outputs | RequestError,
    ) -> Response:
        record.queue_s, record.inference_s = job.queue_s, job.inference_s
        if isinstance(outcome, RequestError):
            record.problem = problems.name_of(outcome)
            return problems.response(outcome, record.request_id)
        encode_from_s = self._clock()
        headers: tuple[tuple[bytes, bytes], ...]
        if request.headers.get(b"accept") == _NPY:
            numbers = outcome.prediction if outcome.probabilities is None else outcome.probabilities
            headers, body = NPY_HEADERS, npy_from(numbers)
        else:
            headers, body = JSON_HEADERS, _encode(model.manifest, chosen, outcome)
        record.encode_s = self._clock() - encode_from_s
        if chosen.timing:
            headers = (*headers, (b"server-timing", _server_timing(record)))
        return Response(200, headers, body)

    def _unforeseen(self, record: Record) -> Response:
        _log.exception("request %s failed", record.request_id)
        error = ServerFailed()
        record.problem = problems.name_of(error)
        return problems.response(error, record.request_id)


def _expanded(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    if encoding.lower() == b"identity":
        return body
    if encoding.lower() != b"gzip":
        shown = encoding[:60].decode("latin-1")
        raise UnsupportedMedia(f"content-encoding is {shown!r}, expected gzip or none")
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    try:
        expanded = unzip.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise MalformedBody(f"the body is not gzip: {error}") from error
    if len(expanded) > max_bytes:
        raise BodyTooLarge(f"the body expands to more than {max_bytes} bytes; send fewer rows at once")
    if not unzip.eof or unzip.unused_data:
        raise MalformedBody("the body is not one whole gzip stream; send it again")
    return expanded


def _encode(manifest: Manifest, chosen: Options, outputs: Outputs) -> bytes:
    answer: dict[str, Any] = {"model": manifest.name, "version": manifest.version}
    prediction, probabilities = outputs.prediction, outputs.probabilities
    if probabilities is None:
        answer["predictions"] = prediction.reshape(-1) if len(manifest.targets) == 1 else prediction
    else:
        classes = prediction.tolist()
        answer["predictions"] = [manifest.classes[index] for index in classes]
        answer["classes"] = classes
        if chosen.probabilities:
            answer["probabilities"] = probabilities
        if chosen.top_k:
            answer["top_k"] = _top_k(probabilities, chosen.top_k, manifest.classes)
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _top_k(probabilities: NDArray[np.float32], k: int, labels: Sequence[Label]) -> dict[str, Any]:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return {
        "predictions": [[labels[index] for index in row] for row in best.tolist()],
        "probabilities": np.ascontiguousarray(np.take_along_axis(probabilities, best, axis=1)),
    }


def _server_timing(record: Record) -> bytes:
    """The stages as https://www.w3.org/TR/server-timing/ writes them, in milliseconds."""
    stages = {
        "decode": record.decode_s,
        "queue": record.queue_s,
        "infer": record.inference_s,
        "encode": record.encode_s,
    }
    return ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages.items()).encode()
