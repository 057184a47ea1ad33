"""Write deploy/chart, the Helm chart of the cpu overlay and of monitoring:  make chart

The documents are those that kubectl renders. Where a value applies, a template takes the place of a field or an item;
all else stays as it is.
"""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from copy import deepcopy
from functools import partial
from typing import Final

import yaml

from tests.deploy.chart_values import SCHEMA, values
from tests.deploy.rendered import DEPLOY, Document, render, the, version

CHART: Final = DEPLOY / "chart"
# Where the links of the alerts begin in the rules.
RUNBOOKS: Final = "deploy/operations.md"
_SETTINGS: Final = """\
{{- define "settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
"""
_CONFIG_MAP: Final = 'mlp-serving-settings-{{ include "settings" . | sha256sum | trunc 10 }}'
# What takes the place of the field or item `@name@`, at its indentation.
_TEMPLATES: Final = {
    "cpu": "averageUtilization: {{ .Values.autoscaling.cpu }}",
    "dashboard": 'mlp-serving.json: {{ .Files.Get "files/dashboard.json" | toJson }}',
    "image": 'image: {{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}',
    # Helm would delete it in an upgrade, and pods of before could not start again until they are replaced.
    "keep": "annotations:\n  helm.sh/resource-policy: keep",
    "labels": "{{- with .Values.monitoring.labels }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}",
    "maxReplicas": "maxReplicas: {{ .Values.autoscaling.maxReplicas }}",
    "minReplicas": "minReplicas: {{ .Values.autoscaling.minReplicas }}",
    "modelsMount": (
        "{{- if or .Values.models.claim .Values.models.image }}\n"
        "- name: models\n  mountPath: /models\n  readOnly: true\n"
        "{{- end }}"
    ),
    "modelsVolume": (
        "{{- if .Values.models.image }}\n"
        "- name: models\n  image:\n    reference: {{ .Values.models.image | quote }}\n    pullPolicy: IfNotPresent\n"
        "{{- else if .Values.models.claim }}\n"
        "- name: models\n  persistentVolumeClaim:\n    claimName: {{ .Values.models.claim | quote }}\n"
        "{{- end }}"
    ),
    "pullSecrets": (
        "{{- with .Values.image.pullSecrets }}\nimagePullSecrets: {{- toYaml . | nindent INDENT }}\n{{- end }}"
    ),
    "replicas": "{{- if not .Values.autoscaling.enabled }}\nreplicas: {{ .Values.replicas }}\n{{- end }}",
    "resources": "resources: {{- toYaml .Values.resources | nindent INNER }}",
    "rules": (
        'spec: {{- .Files.Get "files/rules.yaml"\n'
        f'  | replace "{RUNBOOKS}#" (printf "%s#" .Values.monitoring.runbooks) | nindent INNER }}}}'
    ),
    "settings": 'data: {{- include "settings" . | nindent INNER }}',
}


def main() -> None:
    shutil.rmtree(CHART, ignore_errors=True)
    for path, text in files().items():
        (CHART / path).parent.mkdir(parents=True, exist_ok=True)
        (CHART / path).write_text(text)


def files() -> dict[str, str]:
    """The text of each file of the chart, by its path."""
    (dashboard,) = the("monitoring", "ConfigMap")["data"].values()
    written = {
        "Chart.yaml": yaml.safe_dump(_about(), sort_keys=False),
        "values.yaml": values(),
        "values.schema.json": json.dumps(SCHEMA, indent=2) + "\n",
        "files/dashboard.json": dashboard,
        "files/rules.yaml": _dump(the("monitoring", "PrometheusRule")["spec"]),
        "templates/_settings.tpl": _SETTINGS,
    }
    for document in render("cpu"):
        written[f"templates/{document['kind'].lower()}.yaml"] = _serving(deepcopy(document))
    for document in render("monitoring"):
        written[f"templates/monitoring/{document['kind'].lower()}.yaml"] = _monitoring(deepcopy(document))
    return written


def _about() -> Document:
    return {
        "apiVersion": "v2",
        "name": "mlp-serving",
        "description": "A small neural network that answers over HTTP, in ONNX Runtime",
        "type": "application",
        "version": version(),
        "appVersion": version(),
        "kubeVersion": ">=1.30.0-0",
    }


def _serving(document: Document) -> str:
    """The template of a document of the cpu overlay."""
    match document["kind"]:
        case "ConfigMap":
            _replace(document, "data", "settings")
            document["metadata"] |= {"name": _CONFIG_MAP, "@keep@": None}
        case "Deployment":
            _deployment(document["spec"])
        case "HorizontalPodAutoscaler":
            for bound in ("minReplicas", "maxReplicas"):
                _replace(document["spec"], bound, bound)
            _replace(document["spec"]["metrics"][0]["resource"]["target"], "averageUtilization", "cpu")
            return _only_if("autoscaling", _filled(document))
    return _filled(document)


def _deployment(spec: Document) -> None:
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    spec["@replicas@"] = pod["@pullSecrets@"] = None
    for name in ("image", "resources"):
        _replace(container, name, name)
    container["envFrom"][0]["configMapRef"]["name"] = _CONFIG_MAP
    container["volumeMounts"].append("@modelsMount@")
    pod["volumes"].append("@modelsVolume@")


def _monitoring(document: Document) -> str:
    """The template of a document of the monitoring overlay."""
    if document["kind"] == "ConfigMap":
        document["data"] = {"@dashboard@": None}
    else:
        document["metadata"]["labels"]["@labels@"] = None
    if document["kind"] == "PrometheusRule":
        _replace(document, "spec", "rules")
    return _only_if("monitoring", _filled(document))


def _replace(document: Document, field: str, template: str) -> None:
    del document[field]
    document[f"@{template}@"] = None


def _only_if(value: str, text: str) -> str:
    return f"{{{{- if .Values.{value}.enabled }}}}\n{text}{{{{- end }}}}\n"


def _filled(document: Document) -> str:
    """The document's text, with a template for each `@name@`."""
    text = _dump(document)
    for name, template in _TEMPLATES.items():
        place = re.compile(rf"^( *)(?:- )?'@{name}@'(?:: null)?$", re.MULTILINE)
        text = place.sub(partial(_indented, template), text)
    assert "'@" not in text, text
    return text


def _indented(template: str, place: re.Match[str]) -> str:
    indent = place[1]
    template = template.replace("INDENT", str(len(indent))).replace("INNER", str(len(indent) + 2))
    return textwrap.indent(template, indent)


def _dump(document: Document) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, width=10**6))


if __name__ == "__main__":
    main()
