"""What is compared: pairs of servers, and the requests that both get."""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.targets import (
    BARE,
    BEFORE,
    FORMATS,
    JSON_PEERS,
    LIGHTGBM,
    MOSEC,
    MSGPACK,
    NAMED,
    NOT_COMPILED,
    OURS,
    TWO,
)

GRANIAN: Final = "bare Granian, RSGI"
NGINX: Final = "nginx"


class Load(NamedTuple):
    """The rows of a request, and the number of concurrent connections."""

    rows: int
    connections: int


class Side(NamedTuple):
    """A server, and the format of its requests."""

    server: str
    body: str


class Comparison(NamedTuple):
    """Two servers that are measured in turn; the ratios are those of the first to the second."""

    first: Side
    second: Side
    loads: tuple[Load, ...]

    @property
    def name(self) -> str:
        """The names of both, for messages."""
        return f"{self.first.server} ({self.first.body}) beside {self.second.server}"


_ONE: Final = Load(1, 1)
_MANY: Final = Load(1, 64)
_ROWS: Final = Load(32, 16)
_QUICK: Final = (_ONE, _MANY, _ROWS)
_ALL: Final = tuple(Load(rows, connections) for rows in (1, 32) for connections in (1, 16, 64))
_JSON: Final = Side(OURS, "json")
_RAW: Final = Side(OURS, "raw")

COMPARISONS: Final = (
    *(Comparison(Side(OURS, body), Side(BARE, body), _ALL) for body in ("json", "raw")),
    *(Comparison(Side(OURS, body), Side(BEFORE, body), (_ROWS,)) for body in ("json", "raw")),
    *(Comparison(Side(OURS, body), Side("ours fp32", body), (_MANY, _ROWS)) for body in ("json", "raw")),
    Comparison(_JSON, Side(NOT_COMPILED, "json"), (_MANY, _ROWS)),
    Comparison(_JSON, Side("ours int8, request log", "json"), (_MANY,)),
    Comparison(_JSON, Side("ours int8, fast path off", "json"), (_MANY,)),
    Comparison(Side(TWO, "json"), _JSON, (Load(32, 64),)),
    *(Comparison(Side(name, "json"), Side(BARE, "json"), (_ONE, _MANY)) for name in (GRANIAN, NGINX)),
    Comparison(_RAW, Side(MSGPACK, FORMATS[MSGPACK]), _QUICK),
    Comparison(_JSON, Side(MOSEC, "json"), _QUICK),
    *(Comparison(_JSON, Side(name, FORMATS.get(name, "json")), (_MANY, _ROWS)) for name in JSON_PEERS[1:]),
    Comparison(Side(NAMED, "named"), Side(LIGHTGBM, "named"), (_ONE, _MANY, _ROWS, Load(1000, 4))),
    Comparison(Side(NAMED, "named"), Side(BARE, "named"), (_MANY,)),
)
# Ours and bare uvicorn, for a first look at a change.
QUICK: Final = tuple(each._replace(loads=_QUICK) for each in COMPARISONS[:2])
