"""The bytes of a connection: the fast path inside uvicorn, bounds, limits, the ASGI middleware."""
