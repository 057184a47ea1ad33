"""A small plan, and studies of it in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study

from tests.training import small
from training.config import Config
from training.data.split import split
from training.run.search import study
from training.run.search.study import Plan

CONFIG = Config(hidden=(8,), batch_size=32, lr=0.01, epochs=12, patience=12)


def plan(*fields: str, rows: int = 200, **options: Any) -> Plan:
    """A plan for two separable classes."""
    dataset, config = small.sides(rows), replace(CONFIG, **options)
    parts = split(dataset, config)
    return Plan(dataset, parts, config, fields or ("lr", "dropout"))


def opened(plan: Plan, storage: BaseStorage | None = None) -> Study:
    """The study ``s`` of ``plan``."""
    return study.opened(storage or InMemoryStorage(), "s", "here", plan)
