"""The card's paragraph on values that training never saw, and on columns that are no features."""

from __future__ import annotations

from typing import Final

from service.manifest import Feature
from training.data.precision import format_value
from training.release.interface import features_of, listed
from training.release.markdown import text
from training.release.training_run import TrainingRun

_SHOWN: Final = 20


def paragraph(run: TrainingRun) -> str:
    """What a server does with a missing or unknown value where training saw none, and with other columns."""
    dataset = run.dataset
    features = features_of(dataset, run.split.train)
    defaults = [f"{text(each.name)} ({text(_shown(each))})" for each in features if each.default is not None]
    missing = [each.name for each in features if each.missing]
    sentences = []
    if defaults:
        more = f" and {len(defaults) - _SHOWN} more, see `metadata.json`" if len(defaults) > _SHOWN else ""
        sentences.append(
            "Training saw no missing values in these features. The server refuses rows without them, or with an "
            "unknown category; with `--unseen-values impute` it answers with these defaults instead, and says so in "
            f"the response: {', '.join(defaults[:_SHOWN])}{more}."
        )
    if missing:
        sentences.append(f"Values of {text(listed(missing))} may be missing: training saw such rows.")
    dropped = [name for name in dataset.source.get("dropped", ()) if name and name not in dataset.target_names]
    ignored = listed([*dataset.target_names, *dropped])
    sentences.append(f"The target and dropped columns are ignored when they are sent: {text(ignored)}.")
    return " ".join(sentences)


def _shown(feature: Feature) -> str:
    default = feature.default or 0.0
    if feature.kind == "boolean":
        return f"{default:.0%} true"
    if feature.kind == "categorical":
        code = int(default)
        return f"{feature.categories[code]!r:.40}" if code < len(feature.categories) else "the rare categories"
    return format_value(default, feature.std)
