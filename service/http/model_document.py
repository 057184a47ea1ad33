"""A loaded version as a JSON document: its inputs and outputs, where it runs, its scores, and what it was made from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from service.inference.model import Model


def describe(model: Model) -> dict[str, Any]:
    """What `GET /models/{name}` says of a version, without the states of the others."""
    manifest = model.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "labels": manifest.classes,
        "targets": manifest.targets,
        "input_shape": manifest.input_shape,
        "input_dtype": manifest.input_dtype,
        "output_dtype": manifest.output_dtype,
        "features": [each.to_record() for each in manifest.features],
        "cells": manifest.cells and asdict(manifest.cells),
        "provider": model.provider,
        "precision": model.precision,
        "why_not_int8": model.why_not_int8,
        "costs": model.costs,
        "load_s": model.load_s,
        "scores": manifest.scores,
        "importance": manifest.importance,
        "data": manifest.data,
        "unseen_values": "refuse" if model.schema.defaults is None else "impute",
        "created": manifest.created,
        "git_commit": manifest.git_commit,
    }
