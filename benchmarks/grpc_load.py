"""gRPC's own part: a client that loads any server, and a server that answers with fixed bytes.

python -m benchmarks.grpc_load serve PORT BYTES
python -m benchmarks.grpc_load ask ADDRESS BODY CONCURRENCY SECONDS

Both are grpcio's asyncio on uvloop. The client has that many RPCs in flight on four connections, or on one if there is
one RPC, and prints how many were answered, and the seconds that took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

SERVICE: Final = "inference.GRPCInferenceService"
_CONNECTIONS: Final = 4


async def serve(port: int, answer: bytes) -> None:
    """Answer each ModelInfer with the same bytes."""

    async def infer(_request: bytes, _context: Any) -> bytes:
        return answer

    server = grpc.aio.server()
    methods = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def ask(address: str, body: bytes, concurrency: int, seconds: float) -> dict[str, float]:
    """Send ``body`` from ``concurrency`` tasks for so many seconds."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(min(concurrency, _CONNECTIONS))]
    methods = [channel.unary_unary(f"/{SERVICE}/ModelInfer") for channel in channels]
    for method in methods:
        await method(body, wait_for_ready=True)
    started_s = time.perf_counter()
    ends_s = started_s + seconds

    async def loop(method: Any) -> int:
        count = 0
        while time.perf_counter() < ends_s:
            await method(body)
            count += 1
        return count

    counts = await asyncio.gather(*[loop(methods[index % len(methods)]) for index in range(concurrency)])
    took_s = time.perf_counter() - started_s
    for channel in channels:
        await channel.close()
    return {"requests": sum(counts), "duration_s": took_s}


def main() -> None:
    what, *given = sys.argv[1:]
    if what == "serve":
        uvloop.run(serve(int(given[0]), bytes(int(given[1]))))
        return
    address, body, concurrency, seconds = given
    print(json.dumps(uvloop.run(ask(address, Path(body).read_bytes(), int(concurrency), float(seconds)))))


if __name__ == "__main__":
    main()
