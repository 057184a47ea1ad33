"""Each document against the schema that its project publishes.

Of the Gateway API and of KServe no package has the schemas without the whole client: their few fields are listed here,
so that a misspelt one is found, and nothing is said of their values.
"""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Any, Final

import kubernetes_validate

from tests.deploy.rendered import Document

KUBERNETES: Final = "1.37"
_BUILT_IN: Final = {"v1", "apps/v1", "autoscaling/v2", "batch/v1", "policy/v1", "networking.k8s.io/v1"}
_PACKAGES: Final = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
_POD: Final = {"automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext"}
_SCALING: Final = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy"}
# Paths to the fields that are used, by kind; what lies below a path that ends in * is not looked at.
_FIELDS: Final = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        *("spec.parentRefs.name", "spec.rules.backendRefs.name", "spec.rules.backendRefs.port"),
        "spec.rules.backendRefs.weight",
    },
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): {
        *("spec.supportedModelFormats.name", "spec.supportedModelFormats.version"),
        *("spec.supportedModelFormats.autoSelect", "spec.protocolVersions", "spec.labels.*", "spec.annotations.*"),
        *("spec.containers.*", "spec.volumes.*"),
    },
    ("serving.kserve.io/v1beta1", "InferenceService"): {
        *(f"spec.predictor.{name}{'.*' if name.endswith(('Context', 'Strategy')) else ''}" for name in _POD | _SCALING),
        *("spec.predictor.model.modelFormat.name", "spec.predictor.model.runtime"),
        *("spec.predictor.model.protocolVersion", "spec.predictor.model.storageUri"),
    },
}


def validate(document: Document) -> None:
    """Raise an error if the document has a field that its schema does not have."""
    _validate(json.dumps(document, sort_keys=True))


@cache
def _validate(text: str) -> None:
    document = json.loads(text)
    version, kind = document["apiVersion"], document["kind"]
    if version in _BUILT_IN:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    elif version in _PACKAGES:
        assert as_published(document) == document, f"{kind} has fields that its schema does not have"
    else:
        unknown = sorted(path for path in paths(document["spec"], "spec") if not _listed(path, version, kind))
        assert not unknown, f"{kind} has fields that are not listed: {', '.join(unknown)}"


def as_published(document: Document) -> Document:
    """The document without the fields that its published schema does not have."""
    models = importlib.import_module(_PACKAGES[document["apiVersion"]])  # takes two seconds
    read = getattr(models, document["kind"]).model_validate(document)
    known: Document = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return known


def paths(value: Any, path: str) -> set[str]:
    """The paths of all leaves, without the positions in lists."""
    if isinstance(value, dict) and value:
        return {each for name, inner in value.items() for each in paths(inner, f"{path}.{name}")}
    if isinstance(value, list) and value:
        return {each for inner in value for each in paths(inner, path)}
    return {path}


def _listed(path: str, version: str, kind: str) -> bool:
    fields = _FIELDS[version, kind]
    return path in fields or any(path.startswith(field[:-1]) for field in fields if field.endswith("*"))
