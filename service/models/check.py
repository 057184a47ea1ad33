"""mlp-models check: checks versions as the server would."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Final

import orjson

from service import artifact
from service.errors import StartError
from service.inference.model import Model
from service.manifest import ArtifactError
from service.models import references, table
from service.models.command import Command, CommandError, Context


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one argument: a model that would be served, or the reason against it."""

    text: str
    model: Model | None
    reason: str | None

    def line(self) -> str:
        """For people."""
        if (model := self.model) is None:
            return f"REFUSED  {self.text}: {table.printable(self.reason or '')}"
        costs = model.costs
        return (
            f"OK       {self.text}: {model.provider}, {model.precision}, {costs.run_s * 1e6:.0f} µs a run and "
            f"{costs.row_s * 1e6:.2g} µs a row, loaded in {model.load_s:.2f} s"
        )

    def document(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {"version": self.text, "ok": self.model is not None, "reason": self.reason}
        if (model := self.model) is not None:
            document |= {
                "provider": model.provider,
                "precision": model.precision,
                "why_not_int8": model.why_not_int8,
                "run_s": model.costs.run_s,
                "row_s": model.costs.row_s,
                "load_s": model.load_s,
            }
        return document


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a version: its folder, name@version, or name for the newest (default: the newest of each model)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace, context: Context) -> int:
    texts = options.paths or artifact.model_names(context.models)
    if not texts:
        raise CommandError(f"models folder {str(context.models)!r} is empty; publish a model with: make train")
    outcomes = []
    for text in texts:
        outcomes.append(_checked(text, context))
        if not options.json:
            context.write(outcomes[-1].line())
    if options.json:
        context.write(orjson.dumps([each.document() for each in outcomes], option=orjson.OPT_INDENT_2).decode())
    return 0 if all(each.model is not None for each in outcomes) else 1


def _checked(text: str, context: Context) -> _Outcome:
    try:
        reference = references.version_of(text, context.models)
    except (CommandError, ArtifactError) as error:
        return _Outcome(text, None, str(error))
    shown = f"{reference} (withdrawn)" if reference.withdrawn else str(reference)
    try:
        model = context.prover.load(reference.folder)
    except StartError as error:
        return _Outcome(shown, None, str(error))
    model.close()
    return _Outcome(shown, model, None)


COMMAND: Final = Command(
    name="check",
    summary="check versions as a server would; exit status 1 if one would be refused",
    description="Check versions as a server does before it serves them: files, hashes, format, graph, golden rows, "
    "finite outputs, warm-up and example request. Every version is checked, and each refusal has its reason. The exit "
    "status is 0 if all would be served, else 1.",
    examples="""  mlp-models check
  mlp-models check fashion-mnist@2
  mlp-models check models/fashion-mnist/* --provider cpu""",
    add_arguments=_add_arguments,
    run=_run,
)
