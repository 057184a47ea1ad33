"""Metrics of TLS: when the certificate expires, and why handshakes fail."""

from __future__ import annotations

from service.metrics.instruments import Instruments


class TlsMetrics:
    """The certificate of this process, and its handshakes. Without TLS there are no series."""

    def __init__(self, make: Instruments) -> None:
        self._expires = make.gauge(
            "mlp_tls_certificate_expires_at_seconds",
            "Unix time at which the certificate in use expires.",
            "file",
            over_workers="livemax",
        )
        self._failures = make.counter(
            "mlp_tls_handshake_failures_total", "Connections closed before their TLS handshake ended.", "reason"
        )

    def expires(self, file: str, at_s: float) -> None:
        """Set when the certificate expires, in seconds since 1970."""
        self._expires.labels(file).set(at_s)

    def handshake_failed(self, reason: str) -> None:
        """Count a handshake that failed."""
        self._failures.labels(reason).inc()
