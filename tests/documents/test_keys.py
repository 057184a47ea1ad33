"""The commands and snippets of keys.md: a key is made, and curl and Python are let in with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.keys import key_file
from tests.documents.pages import ROOT, code, curl_lines, read
from tests.service.running import Running

PAGE = read("keys")


def test_the_example_of_a_file_is_valid() -> None:
    (example,) = code(PAGE, "text")
    assert [key.name for key in key_file.parse(example.encode(), Path("keys"))] == ["web", "reports"]


def test_a_key_is_made_and_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, serve, *_ = code(PAGE, "sh")[0].splitlines()
    command = make.replace("python ", f"{sys.executable} ").replace(">> keys", f">> {tmp_path / 'keys'}")
    made = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    key = made.stderr.splitlines()[-1]
    option = serve.split()[1]
    with Running(ROOT / "models", option, str(tmp_path / "keys")) as server:
        (sent,) = curl_lines(PAGE)
        local = sent.replace("localhost:8000", server.address.removeprefix("http://")).replace("curl ", "curl -sS ")
        curl = subprocess.run(
            ["bash", "-c", local],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "KEY": key},
        )
        assert json.loads(curl.stdout)["predictions"] == ["Ankle boot"]
        (snippet,) = code(PAGE, "python")
        monkeypatch.setenv("KEY", key)
        printed: list[object] = []
        names: dict[str, Any] = {"print": printed.append}
        exec(snippet.replace("http://localhost:8000", server.address), names)  # noqa: S102 - our own snippet
        names["client"].close()
        assert printed == ["fashion-mnist"]
