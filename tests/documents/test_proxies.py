"""The pages on TLS and proxies: their options exist, their times and sizes fit the settings, their YAML is valid."""

from __future__ import annotations

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.settings import PREFIX, Settings
from service.tls.handshake import _REASONS
from service.tls.rotation import _LONGEST_INTERVAL_S, _WARNED_DAYS
from tests.documents.pages import DOCS, code, read

PAGES = ("tls", "behind-a-proxy")
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")
# Of curl.
OTHERS = {"cacert", "cert", "key"}


def directive(name: str) -> int:
    """The number after a directive of the nginx example, which stands there once."""
    (snippet,) = code((DOCS / "behind-a-proxy.md").read_text(), "nginx")
    (found,) = re.findall(rf"^ *{name} (\d+)[sm]?;", snippet, re.MULTILINE)
    return int(found)


@pytest.mark.parametrize("page", PAGES)
def test_each_option_exists(page: str) -> None:
    names = {name.replace("-", "_") for name in set(FLAG.findall(read(page))) - OTHERS}
    names |= {name.lower() for name in re.findall(rf"\b{PREFIX}([A-Z_]+)\b", read(page))}
    assert names
    assert names <= set(Settings.model_fields)


def test_nginx_fits_the_settings() -> None:
    settings = Settings()
    assert directive("keepalive_timeout") < settings.keep_alive_timeout_s
    assert directive("proxy_read_timeout") > settings.request_timeout_s
    assert directive("client_max_body_size") * 1024**2 == settings.max_body_bytes
    for said in (
        f"`--keep-alive-timeout-s`, {settings.keep_alive_timeout_s} s",
        f"`--request-timeout-s`, {settings.request_timeout_s:g} s",
        f"`--max-body-bytes`, {settings.max_body_bytes // 1024**2} MiB",
    ):
        assert said in read("behind-a-proxy")


@pytest.mark.parametrize("page", [*PAGES, "tracing"])
def test_kubernetes_objects_are_valid(page: str) -> None:
    for snippet in code((DOCS / f"{page}.md").read_text(), "yaml"):
        document = yaml.safe_load(snippet)
        if isinstance(document, dict) and document.get("apiVersion", "").startswith("networking.k8s.io"):
            kubernetes_validate.validate(document, "1.37", strict=True)
        if isinstance(document, dict) and "containers" in document:
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": document}
            kubernetes_validate.validate(pod, "1.37", strict=True)


def test_each_reason_of_a_failed_handshake_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z][a-z-]*)` \|", read("tls"), re.MULTILINE))
    assert explained == {*_REASONS.values(), "timeout", "disconnected", "protocol"}


def test_what_is_said_of_replaced_certificates() -> None:
    assert _LONGEST_INTERVAL_S == 5, "at least every five seconds"
    assert max(_WARNED_DAYS) == 14, "from 14 days before"
    assert Path(DOCS / "tls.md").read_text().count("at least every five seconds") == 1
