"""Imports FastAPI without building its pydantic models, of which only the OpenAPI document needs any."""

from __future__ import annotations

from pydantic import BaseModel


def import_fastapi() -> None:
    """Import FastAPI if it is not yet imported. Its models are built when they are first used.

    pydantic has this option for each class, and classes inherit it.
    """
    BaseModel.model_config["defer_build"] = True
    try:
        import fastapi  # noqa: F401, PLC0415 - it is imported for its effect, under the option
    finally:
        del BaseModel.model_config["defer_build"]
