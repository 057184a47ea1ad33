"""What runs the service, held against the service: manifests, alerts, dashboard, image."""
