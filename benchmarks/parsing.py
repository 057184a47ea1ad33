"""Bodies crafted to be slow to parse, next to legitimate ones of the same size: do other clients have to wait?

For each: the status, the seconds until the response, the longest latency of a /health/live probe meanwhile, and the
server's peak resident set. Prints a table:

    python -m benchmarks.parsing
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import re
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks import provenance
from benchmarks.markdown import listed
from benchmarks.servers import Running, ours

_MB: Final = 2**20
_BOUND_BYTES: Final = 16 * _MB
_JSON: Final = {"content-type": "application/json"}
_CODED: Final = {"content-encoding": "gzip"}
_DEFLATE: Final = {"content-encoding": "deflate"}
_GZIP: Final = _JSON | _CODED
_RAW: Final = {"content-type": "application/octet-stream"}
_FLOATS: Final = "/predict?dtype=float32"
_CSV: Final = {"content-type": "text/csv"}
_ARROW: Final = {"content-type": "application/vnd.apache.arrow.stream"}
_FORM: Final = {"content-type": "multipart/form-data; boundary=B"}


def filled(item: bytes, size_bytes: int) -> bytes:
    """A JSON document with as many of ``item`` as inputs as fit."""
    return b'{"inputs":[%b]}' % b",".join([item] * ((size_bytes - 14) // (len(item) + 1)))


def rows(size_bytes: int, features: int) -> bytes:
    """A legitimate body of that size."""
    row = np.random.default_rng(0).integers(0, 256, features).tolist()
    return filled(json.dumps(row, separators=(",", ":")).encode(), size_bytes)


def keys(size_bytes: int) -> bytes:
    """An object of many keys, the last of which is repeated."""
    pairs = b",".join(b'"k%07d":1' % number for number in range(size_bytes // 13))
    return b'{%b,"k%07d":1}' % (pairs, size_bytes // 13 - 1)


class Case(NamedTuple):
    """A request."""

    body: bytes
    headers: dict[str, str] = _JSON
    path: str = "/predict"


def of(names: list[str], model: str) -> dict[str, Case]:
    """The requests by what their bodies are, for a ``model`` with features of these ``names``."""
    features, large = len(names), _BOUND_BYTES - 1024
    raw = np.full(large // 4 // features * features, np.nan, np.float32)
    return {
        "356 kB of rows": Case(rows(356_000, features)),
        "356 kB of keys, the last repeated": Case(keys(356_000)),
        "16 MB of rows": Case(rows(large, features)),
        "16 MB of rows, gzip": Case(gzip.compress(rows(large, features), 1), _GZIP),
        "16 MB of empty rows, gzip": Case(gzip.compress(filled(b"[]", large)), _GZIP),
        "16 MB of keys, the last repeated": Case(keys(large)),
        "one row of 16 MB": Case(b'{"inputs":[%b]}' % filled(b"1", large)[10:-1]),
        "a number of 16 MB": Case(b'{"inputs":[[%b]]}' % (b"9" * large)),
        "a string of 16 MB": Case(b'{"inputs":["%b"]}' % (b"x" * large)),
        "16 MB of NaN": Case(b'{"inputs":[[%b]]}' % b",".join([b"NaN"] * (large // 4 - 10))),
        "16 MB of blanks": Case(b'{"inputs":[%b]}' % (b" " * large)),
        "16 MB of brackets": Case(b'{"inputs":%b' % (b"[" * large)),
        "16 MB of raw rows": Case(np.full_like(raw, 137).tobytes(), _RAW, _FLOATS),
        "16 MB of raw NaN": Case(raw.tobytes(), _RAW, _FLOATS),
        **_frames(names, large),
        **_csv(names, large),
        **_arrow(names, large),
        **_forms(large),
        **_tensors(features, model, large),
    }


def _frames(names: list[str], size_bytes: int) -> dict[str, Case]:
    """Tables as pandas writes them."""
    split = filled(b"[%b]" % b",".join([b"137"] * len(names)), size_bytes - 20_000).replace(b"inputs", b"data", 1)
    values = b",".join([b"137"] * (size_bytes // 4 // len(names) - 10))
    return {
        "16 MB by split": Case(b'{"columns":%b,%b' % (json.dumps(names).encode(), split[1:])),
        "16 MB by column": Case(b"{%b}" % b",".join(b'"%b":[%b]' % (name.encode(), values) for name in names)),
        "16 MB of column names": Case(b'{"columns":[%b],"data":[]}' % b",".join([b'"a"'] * (size_bytes // 4 - 10))),
        "16 MB of row labels": Case(b'{"%b":%b}' % (names[0].encode(), keys(size_bytes - 100))),
    }


def _csv(names: list[str], size_bytes: int) -> dict[str, Case]:
    header = ",".join(names).encode() + b"\n"
    line = b",".join([b"137"] * len(names)) + b"\n"
    return {
        "16 MB of CSV": Case(header + line * ((size_bytes - len(header)) // len(line)), _CSV),
        "16 MB of CSV columns": Case(b"a," * (size_bytes // 2), _CSV),
        "16 MB of CSV quotes": Case(header + b'"' * (size_bytes - len(header)), _CSV),
        "16 MB of CSV line ends": Case(header + b"\n" * (size_bytes - len(header)), _CSV),
        "16 MB of CSV, gzip": Case(gzip.compress(header + line * (size_bytes // len(line) - 4)), _CSV | _CODED),
    }


def _arrow(names: list[str], size_bytes: int) -> dict[str, Case]:
    """Rows, rows that take 1,000 times their bytes, and a dictionary of many strings."""
    column = pa.array(np.full(size_bytes // 4 // len(names) - 40, 137, np.float32))
    table = pa.table(dict.fromkeys(names, column))
    many = pa.table(dict.fromkeys(names, pa.array(np.zeros(200_000, np.float32))))
    strings = pa.array([f"{number:07}" for number in range(1_000_000)]).dictionary_encode()
    return {
        "16 MB of Arrow": Case(_stream(table), _ARROW),
        "600 MB of Arrow, zstd": Case(_stream(many, "zstd"), _ARROW),
        "an Arrow dictionary of 1,000,000 strings": Case(_stream(pa.table(dict.fromkeys(names[:1], strings))), _ARROW),
        "an Arrow stream of 100,000 columns": Case(
            _stream(pa.table({f"c{number}": column[:1] for number in range(100_000)})), _ARROW
        ),
    }


def _stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _forms(size_bytes: int) -> dict[str, Case]:
    part = b'--B\r\ncontent-disposition: form-data; name="a"; filename="a"\r\n\r\n\r\n'
    base64 = b'{"b64":"%b"}' % (b"A" * (size_bytes - 100))
    return {
        "16 MB of form parts": Case(part * (size_bytes // len(part)) + b"--B--\r\n", _FORM),
        "16 MB of a form without an end": Case(part + b"\r\n--" * (size_bytes // 4 - 100), _FORM),
        "16 MB of base64": Case(b'{"inputs":[%b]}' % base64),
        "16 MB of base64 objects": Case(filled(b'{"b64":""}', size_bytes)),
        "16 MB of lists beside base64": Case(filled(b"[]", size_bytes - 20)[:-2] + b',{"b64":""}]}'),
    }


def _tensors(features: int, model: str, size_bytes: int) -> dict[str, Case]:
    """Bodies of the Open Inference Protocol."""
    path, count = f"/v2/models/{model}/infer", size_bytes // 4 // features - 10
    numbers = b",".join([b"137"] * (count * features))

    def in_json(data: bytes, datatype: str = "FP32", shape: str = f"{count},{features}") -> bytes:
        head = f'"name":"x","shape":[{shape}],"datatype":"{datatype}"'.encode()
        return b'{"inputs":[{%b,"data":%b}]}' % (head, data)

    def binary(content: bytes, datatype: str, shape: str) -> Case:
        parameters = f'"parameters":{{"binary_data_size":{len(content)}}}'
        tensor = f'"name":"x","shape":[{shape}],"datatype":"{datatype}",{parameters}'
        head = f'{{"inputs":[{{{tensor}}}]}}'.encode()
        return Case(head + content, {"inference-header-content-length": str(len(head))}, path)

    texts = size_bytes // 5 // features * features - features
    rows_of_words = size_bytes // 6 // features - 1
    words = b",".join([b'"137"'] * (rows_of_words * features))
    small = in_json(b"[7]", shape="1")[11:-2]
    return {
        "16 MB of V2 JSON": Case(in_json(b"[%b]" % numbers), _JSON, path),
        "16 MB of V2 JSON, deflate": Case(zlib.compress(in_json(b"[%b]" % numbers), 1), _JSON | _DEFLATE, path),
        "16 MB of V2 integers": Case(in_json(b"[%b]" % numbers, "INT64"), _JSON, path),
        "16 MB of V2 strings": Case(in_json(b"[%b]" % words, "BYTES", f"{rows_of_words},{features}"), _JSON, path),
        "16 MB of V2 brackets": Case(in_json(b"[" * (size_bytes - 200)), _JSON, path),
        "16 MB of V2 inputs": Case(
            b'{"inputs":[%b]}' % b",".join([small] * (size_bytes // len(small) // 2)), _JSON, path
        ),
        "16 MB of V2 keys": Case(keys(size_bytes), _JSON, path),
        "16 MB of V2 empty lists": Case(b'{"x":[%b]}' % b",".join([b'{"data":[]}'] * (size_bytes // 13)), _JSON, path),
        "16 MB of V2 binary": binary(np.full((count, features), 137, "<f4").tobytes(), "FP32", f"{count},{features}"),
        "16 MB of V2 binary strings": binary(
            struct.pack("<I1s", 1, b"7") * texts, "BYTES", f"{texts // features},{features}"
        ),
        "16 MB of V1 rows": Case(rows(size_bytes, features), _JSON, f"/v1/models/{model}:predict"),
        "4 GB of blanks for V1, gzip": Case(gzip.compress(b" " * 2**25) * 128, _GZIP, f"/v1/models/{model}:predict"),
        "256 MB of blanks for V2, deflate": Case(zlib.compress(b" " * 2**28), _JSON | _DEFLATE, path),
    }


def post(port: int, case: Case, timeout_s: float) -> str:
    """The status of the response; "none" if there was none in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", case.path, case.body, case.headers)
        return str(connection.getresponse().status)
    except TimeoutError:
        return "none"
    except ConnectionError:  # it was refused before all of it was sent
        return "closed"
    finally:
        connection.close()


def probes(port: int, timeout_s: float) -> Callable[[], float]:
    """Probe the server's health repeatedly; the function returned stops that and returns the longest latency."""
    stop, longest_s = threading.Event(), 0.0

    def probe() -> None:
        nonlocal longest_s
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        while not stop.is_set():
            started_s = time.perf_counter()
            try:
                connection.request("GET", "/health/live")
                connection.getresponse().read()
            except TimeoutError:
                connection.close()
            longest_s = max(longest_s, time.perf_counter() - started_s)
            time.sleep(0.002)
        connection.close()

    thread = threading.Thread(target=probe)
    thread.start()

    def result() -> float:
        stop.set()
        thread.join()
        return longest_s

    return result


def measure(model: Path, case: Case, timeout_s: float) -> tuple[str, float, float, float]:
    """Status, seconds until the response, longest probe in seconds and peak memory in MB, of a new server."""
    with tempfile.TemporaryDirectory() as temporary:
        server = ours("ours", model.parents[1])
        with Running(server, [0], Path(temporary) / "log") as running:
            result = probes(server.port, timeout_s)
            time.sleep(0.1)
            started_s = time.perf_counter()
            status = post(server.port, case, timeout_s)
            took_s = time.perf_counter() - started_s
            longest_s = result()
            return status, took_s, longest_s, running.peak_memory_mb()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--timeout-s", type=float, default=60.0, help="seconds to wait for a response (default: 60)")
    parser.add_argument("--only", default="", help="regular expression for the names of the bodies to send")
    given = parser.parse_args()
    print(listed(provenance.of(given.model, "python -m benchmarks.parsing")))
    manifest = json.loads((given.model / "metadata.json").read_text())
    cases = of([feature["name"] for feature in manifest["features"]], manifest["name"])
    print("\n| body | bytes sent | status | s | longest probe, ms | peak memory, MB |\n|---|--:|--:|--:|--:|--:|")
    for name, case in cases.items():
        if re.search(given.only, name):
            status, took_s, longest_s, peak_mb = measure(given.model, case, given.timeout_s)
            figures = f"{len(case.body):,} | {status} | {took_s:.2f} | {longest_s * 1e3:.0f} | {peak_mb:.0f}"
            print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
