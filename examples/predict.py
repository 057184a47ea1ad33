"""Call the service: JSON, raw rows, errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import numpy as np

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"
example = Path(__file__).parents[1] / "models" / "fashion-mnist" / "1" / "example.json"
rows = json.loads(example.read_text())["inputs"]  # one image, 28 lists of 28 numbers from 0 to 255

with httpx.Client(base_url=url) as client:  # keeps the connection open between requests
    answer = client.post("/predict", params={"top_k": 2}, json={"inputs": rows}).raise_for_status().json()
    print(f"JSON: {answer['predictions'][0]}, best two: {answer['top_k']['predictions'][0]}")

    # Raw rows are smaller, and faster to send and to parse.
    pixels = np.array(rows, np.uint8)  # (rows, 28, 28)
    raw = {"content-type": "application/octet-stream"}
    answer = client.post("/predict", content=pixels.tobytes(), headers=raw).raise_for_status().json()
    print(f"raw: {answer['predictions'][0]}")

    # An error is a problem document that says what to change.
    rejected = client.post("/predict", json={"inputs": [[1, 2, 3]]})
    if rejected.is_error:
        problem = rejected.json()
        print(f"{problem['status']} {problem['title']}: {problem['detail']}")
