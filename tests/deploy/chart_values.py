"""The values of the Helm chart: their defaults, as rendered from the cpu overlay, and their schema."""

from __future__ import annotations

from typing import Any, Final

import yaml

from tests.deploy.rendered import Document, server, the

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 1}
_MAP: Final = {"type": "object", "additionalProperties": _TEXT}


def _closed(**properties: Any) -> dict[str, Any]:
    """An object that has these fields and no others: a misspelt value is an error."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_closed(
        image=_closed(repository=_TEXT, tag=_TEXT, pullSecrets={"type": "array", "items": _closed(name=_TEXT)}),
        replicas=_COUNT,
        autoscaling=_closed(enabled={"type": "boolean"}, minReplicas=_COUNT, maxReplicas=_COUNT, cpu=_COUNT),
        resources={"type": "object"},
        models=_closed(claim=_TEXT, image=_TEXT),
        settings=_MAP,
        monitoring=_closed(enabled={"type": "boolean"}, labels=_MAP, runbooks=_TEXT),
        **{"global": {"type": "object"}},
    ),
}


def values() -> str:
    """The text of values.yaml."""
    scaler = the("cpu", "HorizontalPodAutoscaler")["spec"]
    repository, tag = server("cpu")["image"].split(":")
    (metric,) = scaler["metrics"]
    parts: list[tuple[str, Document]] = [
        ("", {"image": {"repository": repository, "tag": tag, "pullSecrets": []}}),
        (
            "Only without autoscaling: otherwise each upgrade would reset its number.",
            {"replicas": scaler["minReplicas"]},
        ),
        (
            "`cpu` is a percentage of the request.",
            {
                "autoscaling": {
                    "enabled": True,
                    "minReplicas": scaler["minReplicas"],
                    "maxReplicas": scaler["maxReplicas"],
                    "cpu": metric["resource"]["target"]["averageUtilization"],
                }
            },
        ),
        ("There is a worker for each CPU of the limit.", {"resources": server("cpu")["resources"]}),
        (
            "By default the models of the image. Otherwise the name of an existing claim, or of an image that holds\n"
            "<name>/<version>/ at its root (Kubernetes 1.36, or 1.35 with the feature gate ImageVolume).",
            {"models": {"claim": "", "image": ""}},
        ),
        (
            "Any MLP_* variable of docs/settings.md, as text. A change is a rollout.",
            {"settings": the("cpu", "ConfigMap")["data"]},
        ),
        (
            "Pod monitor, alert rules and dashboard, for the Prometheus operator. `labels`: those that it selects by.\n"
            "`runbooks`: where whoever is on call can read operations.md.",
            {"monitoring": {"enabled": False, "labels": {}, "runbooks": "deploy/operations.md"}},
        ),
    ]
    texts = ["".join(f"# {line}\n" for line in about.splitlines()) + _dump(part) for about, part in parts]
    return "# Written by `make chart`.\n" + "\n".join(texts)


def _dump(part: Document) -> str:
    return yaml.safe_dump(part, sort_keys=False)
