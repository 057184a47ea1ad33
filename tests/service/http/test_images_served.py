"""Images over whole servers: the same answer in every encoding and on both paths, hang-ups, drains, and bombs."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.service.http.codecs.test_images import png
from tests.service.image_models import publish_images
from tests.service.pictures_drawn import drawn, file_of
from tests.service.published import publish
from tests.service.running import PATIENCE_S, Running, environment, post

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "models" / "fashion-mnist" / "1" / "example.json"
PNG, JPEG = {"content-type": "image/png"}, {"content-type": "image/jpeg"}
# Decodes in some tenths of a second, and has a few bytes.
SLOW = png(4096, 4096, zlib.compress(bytes(4096 * 4097), 9))


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast path", "FastAPI"])
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with Running(ROOT / "models", "--fast-path", request.param) as server:
        yield server


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.array(json.loads(EXAMPLE.read_text())["inputs"], np.uint8).reshape(28, 28)


def peak_bytes(server: Running) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def test_each_encoding_gives_the_same_answer_bit_for_bit(server: Running, pixels: NDArray[np.uint8]) -> None:
    file = file_of(Image.fromarray(pixels), "PNG")
    text = base64.b64encode(file).decode()
    with server.client() as client:
        raw = client.post("/predict", content=pixels.tobytes(), headers={"content-type": "application/octet-stream"})
        answers = [
            client.post("/predict", content=file, headers=PNG),
            client.post("/predict?resize=true", content=file, headers=PNG),
            client.post(
                "/predict", content=file_of(Image.fromarray(pixels), "WEBP"), headers={"content-type": "image/webp"}
            ),
            client.post("/predict", files={"image": file}),
            client.post("/predict", json={"inputs": [{"b64": text}]}),
            client.post("/predict", json={"instances": [{"image_bytes": {"b64": text}}]}),
            client.post("/predict", content=zlib.compress(file, wbits=31), headers=PNG | {"content-encoding": "gzip"}),
        ]
    assert raw.json()["predictions"] == ["Ankle boot"]
    assert [answer.text for answer in answers] == [raw.text] * len(answers)


def test_a_form_of_many_files_is_answered_in_order(server: Running, pixels: NDArray[np.uint8]) -> None:
    rows = [np.roll(pixels, shift) for shift in range(300)]
    files = [("image", (f"{index}.png", file_of(Image.fromarray(row), "PNG"))) for index, row in enumerate(rows)]
    with server.client() as client:
        raw = client.post(
            "/predict?dtype=uint8",
            content=np.array(rows).tobytes(),
            headers={"content-type": "application/octet-stream"},
        ).json()
        form = client.post("/predict", files=files).json()
    assert form == raw


def test_errors_are_the_same_on_both_paths(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/predict", content=file_of(drawn("L", 5, 7, 0)[0], "PNG"), headers=PNG)
        assert (answer.status_code, answer.json()["errors"][0]["row"]) == (422, 0)
        assert client.post("/predict", content=b"hello", headers=PNG).status_code == 400
        assert client.post("/predict", content=b"hello", headers={"content-type": "image/gif"}).status_code == 415
        assert client.post("/predict", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400


def test_bombs_take_neither_memory_nor_time(server: Running, pixels: NDArray[np.uint8]) -> None:
    zeros = zlib.compressobj(9)
    gigabyte = b"".join(zeros.compress(bytes(2**20)) for _ in range(1024)) + zeros.flush()
    with server.client() as client:
        assert client.post("/predict", content=file_of(Image.fromarray(pixels), "PNG"), headers=PNG).status_code == 200
        before = peak_bytes(server)
        for bomb in (png(100_000, 100_000), png(32768, 32768, gigabyte)):
            started_s = time.monotonic()
            answer = client.post("/predict?resize=true", content=bomb, headers=PNG)
            assert answer.status_code == 422, answer.text
            assert time.monotonic() - started_s < 5
        assert peak_bytes(server) - before < 50 * 1024**2


def test_the_loop_answers_while_images_are_decoded(server: Running) -> None:
    """The probes' durations are measured by ``benchmarks/images.py``; here they only have to come in between."""
    with server.client() as client, server.client() as probe:
        done = threading.Event()

        def decode() -> None:
            for _ in range(3):
                assert client.post("/predict?resize=true", content=SLOW, headers=PNG).status_code == 200
            done.set()

        thread = threading.Thread(target=decode)
        thread.start()
        probes = 0
        while not done.is_set():
            assert probe.get("/health/live").status_code == 200
            probes += 1
        thread.join()
    assert probes > 30


def test_a_client_that_hangs_up_is_forgotten(server: Running) -> None:
    with server.client() as client:
        for _ in range(5):
            with server.connect() as connection:
                connection.send(post(SLOW, "/predict?resize=true", "content-type: image/png"))
        assert client.post("/predict?resize=true", content=SLOW, headers=PNG).status_code == 200
        deadline_s = time.monotonic() + PATIENCE_S
        while server.metrics()["mlp_requests_in_flight"] > 1:  # the scrape itself
            assert time.monotonic() < deadline_s


def test_a_deadline_that_passes_in_the_thread_is_kept(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/predict?resize=true", content=SLOW, headers=PNG | {"x-request-timeout-s": "0.01"})
    assert answer.status_code == 504


@pytest.mark.parametrize("fast_path", ["true", "false"])
def test_a_drain_waits_for_images_that_are_decoded(fast_path: str) -> None:
    with Running(ROOT / "models", "--fast-path", fast_path) as server:
        connections = [server.connect() for _ in range(4)]
        for connection in connections:
            connection.send(post(SLOW, "/predict?resize=true", "content-type: image/png"))
        deadline_s = time.monotonic() + PATIENCE_S
        while server.metrics()["mlp_requests_in_flight"] < 2 and time.monotonic() < deadline_s:
            pass
        server.drain()
        assert [connection.answer().status for connection in connections] == [200] * 4
        assert server.exit_status() == 0


def test_a_drain_that_times_out_answers_images_with_503() -> None:
    with Running(ROOT / "models", "--drain-timeout-s", "1") as server:
        connections = [server.connect() for _ in range(400)]  # half a minute of work, or a few seconds where it is fast
        for connection in connections:
            connection.send(post(SLOW, "/predict?resize=true", "content-type: image/png"))
        server.drain()
        statuses = {connection.answer().status for connection in connections}
        assert {503} <= statuses <= {200, 503}
        assert server.exit_status() == 0


def test_models_of_tables_take_no_images(tmp_path: Path) -> None:
    publish(tmp_path, "table")
    publish_images(tmp_path, "colours", (6, 5, 3))
    image, _ = drawn("RGB", 6, 5, seed=1)
    with Running(tmp_path, "--model", "table") as server, server.client() as client:
        refused = client.post("/predict", content=file_of(image, "PNG"), headers=PNG)
        assert (refused.status_code, refused.json()["detail"]) == (
            415,
            "this model takes rows of 4 values, and no images; send application/json",
        )
        taken = client.post("/models/colours/predict", content=file_of(image, "PNG"), headers=PNG)
        as_json = client.post("/models/colours/predict", json={"inputs": [np.asarray(image).tolist()]})
        assert (taken.status_code, taken.text) == (200, as_json.text)
        content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
        assert "colours: 6 x 5 pixels" in content["image/png"]["schema"]["description"]
        assert {"image/jpeg", "image/webp", "multipart/form-data"} < set(content)
        _, listed, *_ = content["application/json"]["schema"]["anyOf"]
        rows = listed["items"]["anyOf"]
        assert [row["required"] for row in rows if row.get("required") == ["b64"]] == [["b64"]]


WITHOUT_PILLOW = """
import sys
sys.modules["PIL"] = None
sys.argv = ["mlp-serve", *sys.argv[1:]]
from service.__main__ import main
sys.exit(main())
"""


def test_a_server_without_pillow_starts_and_says_how_to_install_it(pixels: NDArray[np.uint8]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_PILLOW, "--port", "0", "--models", str(ROOT / "models")],
        env=environment(),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        address = next(line.split("ready on ")[1].split()[0] for line in process.stderr if "ready on" in line)
        answer = httpx.post(f"{address}/predict", content=file_of(Image.fromarray(pixels), "PNG"), headers=PNG)
        assert answer.status_code == 415
        assert answer.json()["detail"].endswith("install it with: pip install 'mlp-serving[images]'")
        assert httpx.post(f"{address}/predict", content=EXAMPLE.read_bytes()).status_code == 200
        body = httpx.get(f"{address}/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
        assert "image/png" not in body["content"]
    finally:
        process.kill()
        process.communicate()


def test_a_large_jpeg_is_answered(server: Running) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)).save(file, "JPEG", quality=90)
    with server.client() as client:
        answer = client.post("/predict?resize=true", content=file.getvalue(), headers=JPEG)
        assert answer.status_code == 200, answer.text
