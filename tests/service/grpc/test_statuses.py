"""Each error of a request has a status of gRPC."""

from __future__ import annotations

import grpc

from service.errors import QueueTooLong
from service.grpc import statuses
from service.http.problems import PROBLEMS


def test_every_problem_has_a_status() -> None:
    assert statuses.STATUSES.keys() == PROBLEMS.keys()
    assert {*statuses.STATUSES.values()} <= {code.name for code in grpc.StatusCode}


def test_a_queue_that_is_too_long_is_told_with_the_time_to_wait() -> None:
    response = statuses.response(QueueTooLong("these rows would wait", 2.5))
    assert (response.status, dict(response.headers)[statuses.STATUS]) == (429, b"RESOURCE_EXHAUSTED")
    assert dict(response.headers)[statuses.RETRY_AFTER] == b"3"
