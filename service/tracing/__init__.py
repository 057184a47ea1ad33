"""Spans of requests, by OpenTelemetry; the extra mlp-serving[tracing]."""
