"""Manifests, alerts, dashboard and image, compared with the service itself."""
