"""Sends a response as ASGI messages."""

from __future__ import annotations

from starlette.types import Send

from service.http.messages import Response


async def send_response(response: Response, send: Send) -> None:
    """Send ``response``, with its length first, as Starlette does; one with status 204 must have none."""
    length = [] if response.status == 204 else [(b"content-length", b"%d" % len(response.body))]
    await send({"type": "http.response.start", "status": response.status, "headers": [*length, *response.headers]})
    await send({"type": "http.response.body", "body": response.body})
