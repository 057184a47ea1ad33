"""Puts the models together: what loads versions, those that serve, and those that are compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from service.inference import drift
from service.inference.catalog import Catalog
from service.inference.loader import Bounds, Loader, Placement
from service.inference.observers import Observer
from service.inference.reports import Reports
from service.inference.repository import Repository
from service.inference.schema import Schema
from service.inference.selection import Selection, parse
from service.inference.shadow import Shadows
from service.manifest import Manifest
from service.metrics import Metrics
from service.settings import Settings


class Models(NamedTuple):
    """The versions in the models folder, those that are loaded, and those that are compared with the serving ones."""

    catalog: Catalog
    repository: Repository
    shadows: Shadows


def build(
    options: Settings,
    counters: Metrics,
    max_rows: int,
    *,
    clock: Callable[[], float],
    check_example: Callable[[bytes, Schema], None],
    replacement: bool,
) -> Models:
    """Load every model, for requests of at most ``max_rows`` rows. Raises `StartError`.

    ``clock`` gives seconds, and ``check_example`` is as for `Loader`. A ``replacement`` for a worker that died leaves
    out a model that has no good version.
    """
    shadows = Shadows(options.metrics_max_labels)
    candidates = parse("--shadow (MLP_SHADOW)", options.shadow) if options.shadow else {}
    selection = Selection.of(options.model, options.model_versions, candidates)

    def observers(manifest: Manifest) -> list[Observer]:
        drifting = drift.watch(
            manifest,
            counters.drift,
            features=options.drift_features,
            labels=options.metrics_max_labels,
            window_s=options.drift_window_s,
            clock=clock,
        )
        found: list[Observer] = [] if drifting is None else [drifting]
        if not selection.is_candidate(manifest.name, manifest.version):
            found += shadows.observers(manifest)
        return found

    loader = Loader(
        options.models,
        Placement(options.provider, options.precision),
        counters.models,
        Bounds(
            max_rows,
            options.max_queue_rows,
            options.max_queue_s,
            options.metrics_max_labels,
            impute=options.unseen_values == "impute",
        ),
        clock=clock,
        check_example=check_example,
        observers=observers,
    )
    for candidate in loader.load_shadows(candidates):
        shadows.add(candidate, counters.shadow, clock)
    catalog = Catalog(loader, selection, Reports(counters.versions, counters.retention), keep=options.keep_versions)
    repository = Repository(catalog.start(replacement=replacement), selection.default)
    catalog.loading = repository.loading
    shadows.check(model.manifest for model in repository)
    return Models(catalog, repository, shadows)
