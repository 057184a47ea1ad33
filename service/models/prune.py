"""mlp-models prune: deletes old versions."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service import artifact, withdrawal
from service.manifest import ArtifactError
from service.models import references, serving, table
from service.models.command import Command, CommandError, Context


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is deleted and what stays of a model."""

    model_dir: Path
    delete: list[Path]
    keep: list[int]
    serving: int


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="the models")
    parser.add_argument("--all", action="store_true", help="all models")
    parser.add_argument(
        "--keep", metavar="N", type=_count, required=True, help="how many of the newest versions to keep"
    )
    parser.add_argument("--withdrawn", action="store_true", help="delete withdrawn versions, too")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")


def _count(text: str) -> int:
    if not artifact.VERSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive integer; the newest version always stays")
    return int(text)


def _run(options: argparse.Namespace, context: Context) -> int:
    if bool(options.names) == options.all:
        raise CommandError("name the models to prune, or use --all for all of them, not both")
    names = artifact.model_names(context.models) if options.all else options.names
    folders = [references.model_folder(name, context.models) for name in dict.fromkeys(names)]
    faults = []
    for model_dir in folders:
        try:
            with nullcontext() if options.dry_run else withdrawal.locked(model_dir):
                plan = _plan(model_dir, options.keep, context, withdrawn=options.withdrawn)
                _carry_out(plan, context, dry_run=options.dry_run)
        except (ArtifactError, CommandError) as error:
            faults.append(str(error))
    if faults:
        raise CommandError("\n".join(faults))
    return 0


def _plan(model_dir: Path, keep: int, context: Context, *, withdrawn: bool) -> _Plan:
    """Keep the ``keep`` newest versions and the one that a server would serve. Raises `CommandError` without one."""
    versions = artifact.versions(model_dir)
    found = serving.find(model_dir, versions, context)
    if found.version is None:
        raise CommandError(
            f"no version of {model_dir.name} would be served, so none of them is deleted; see: mlp-models list "
            f"{model_dir.name}"
        )
    watched = [version for version in versions if context.selection.is_candidate(model_dir.name, version)]
    kept = [version for version in versions if version in {*versions[-keep:], found.version, *watched}]
    delete = [model_dir / str(version) for version in versions if version not in kept]
    if withdrawn:
        delete += [artifact.withdrawn_dir(model_dir, version) for version in artifact.withdrawn_versions(model_dir)]
    return _Plan(model_dir, delete, kept, found.version)


def _carry_out(plan: _Plan, context: Context, *, dry_run: bool) -> None:
    if not dry_run:
        withdrawal.remove_leftovers(plan.model_dir)
    for folder in plan.delete:
        size = table.size_text(_size_bytes(folder))
        if not dry_run:
            withdrawal.delete(folder)
        context.write(f"{'would delete' if dry_run else 'deleted'} {folder} ({size})")
    kept = ", ".join(f"{version} (serving)" if version == plan.serving else str(version) for version in plan.keep)
    context.write(
        f"{plan.model_dir.name}: {len(plan.delete)} deleted, kept {kept}"
        if not dry_run
        else f"{plan.model_dir.name}: {len(plan.delete)} to delete, to keep {kept}"
    )


def _size_bytes(folder: Path) -> int:
    if folder.is_symlink():
        return 0
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


COMMAND: Final = Command(
    name="prune",
    summary="delete old versions; the one that a server would serve always stays",
    description="Delete all but the newest N versions of a model. The version that a server would serve stays, too. A "
    "version disappears in one step before its files are removed, and its number is not used again. Running servers "
    "keep what they have loaded.",
    examples="""  mlp-models prune fashion-mnist --keep 3 --dry-run
  mlp-models prune fashion-mnist --keep 3 --withdrawn
  mlp-models prune --all --keep 5""",
    add_arguments=_add_arguments,
    run=_run,
)
