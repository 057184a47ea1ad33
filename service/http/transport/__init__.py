"""From the bytes of a connection to a request, and back: the fast path inside uvicorn, and the ASGI middleware."""
