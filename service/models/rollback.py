"""mlp-models rollback and restore: withdraw the newest version of a model, and undo that."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from service import artifact, withdrawal
from service.models import references, serving
from service.models.command import Command, CommandError, Context
from service.models.serving import WHEN


def _add_rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="the model; name@version rolls back only if that version is the newest"
    )
    parser.add_argument("--force", action="store_true", help="withdraw even if the next older version would be refused")


def _rollback(options: argparse.Namespace, context: Context) -> int:
    name, expected = references.split_name(options.name)
    model_dir = references.model_folder(name, context.models)
    with withdrawal.locked(model_dir):
        newest, older = _newest(model_dir, expected)
        if not older:
            raise CommandError(
                f"{name} has only version {newest}, and without it nothing would be served; publish a better version, "
                f"or delete {model_dir} to stop serving {name}"
            )
        reason = context.prover.reason_against(model_dir / str(older[0]))
        if reason is not None and not options.force:
            raise CommandError(
                f"{name}@{older[0]}, which would take over, would be refused: {reason}; {name}@{newest} stays. Repair "
                "that version, or withdraw this one in any case with --force"
            )
        takes_over = reason is None and context.selection.may_serve(name, older[0])
        left = serving.Serving(older[0], {}) if takes_over else serving.find(model_dir, older, context)
        hidden = withdrawal.withdraw(model_dir, newest)
    _report(model_dir, newest, hidden, left.version, context)
    return 0


def _report(model_dir: Path, withdrawn: int, hidden: Path, serving_version: int | None, context: Context) -> None:
    """Say what was done, what servers do, and how to undo it."""
    name, newest = model_dir.name, artifact.versions(model_dir)[-1]
    context.write(f"withdrew {name}@{withdrawn}; its files are in {hidden}")
    if newest > withdrawn:
        context.write(f"{name}@{newest} was published meanwhile. Servers serve it if it passes their checks.")
    elif serving_version is None:
        context.write(f"No other version of {name} would be served. Running servers keep what they serve, and servers")
        context.write("that start now fail. Publish a better version.")
    else:
        context.write(f"Running servers serve {name}@{serving_version} {WHEN}.")
        context.write("Requests in flight finish on the version that they began with.")
    context.write(f"To undo this: mlp-models restore {name} {withdrawn}")


def _newest(model_dir: Path, expected: int | None) -> tuple[int, list[int]]:
    """The newest version, and the older ones from the newest on.

    Raises `CommandError` if there is none, or if the newest is not the ``expected`` one.
    """
    name = model_dir.name
    versions = artifact.versions(model_dir)
    if not versions:
        withdrawn = artifact.withdrawn_versions(model_dir)
        undo = f"bring one back with: mlp-models restore {name} {withdrawn[-1]}" if withdrawn else "publish one first"
        raise CommandError(f"{name} has no version to withdraw; {undo}")
    *older, newest = versions
    if expected not in {None, newest}:
        raise CommandError(
            f"the newest version of {name} is {newest}, not {expected}; nothing was changed. To withdraw {newest}: "
            f"mlp-models rollback {name}@{newest}"
        )
    return newest, older[::-1]


def _add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument(
        "version", metavar="VERSION", nargs="?", help="the withdrawn version; needed only if there are several"
    )
    parser.add_argument("--force", action="store_true", help="restore even a version that a server would refuse")


def _restore(options: argparse.Namespace, context: Context) -> int:
    text = options.name if options.version is None else f"{options.name}@{options.version}"
    name, version = references.split_name(text)
    model_dir = references.model_folder(name, context.models)
    with withdrawal.locked(model_dir):
        version = _withdrawn(model_dir, version)
        reason = context.prover.reason_against(artifact.withdrawn_dir(model_dir, version))
        if reason is not None and not options.force:
            raise CommandError(
                f"{name}@{version} would be refused: {reason}; it stays withdrawn. Restore it in any case with --force"
            )
        folder = withdrawal.restore(model_dir, version)
        newest = artifact.versions(model_dir)[-1]
    context.write(f"restored {name}@{version} as {folder}")
    if reason is not None:
        context.write("A server would refuse it, and serves the newest other version that passes its checks.")
    elif newest == version:
        context.write(f"Running servers serve it {WHEN}.")
    else:
        context.write(
            f"Servers go on with {name}@{newest}, which is newer. To withdraw that: mlp-models rollback {name}"
        )
    return 0


def _withdrawn(model_dir: Path, version: int | None) -> int:
    """The withdrawn version to restore. Raises `CommandError` if there is none, or it is not clear which."""
    name, found = model_dir.name, artifact.withdrawn_versions(model_dir)
    listed = ", ".join(map(str, found))
    if not found:
        raise CommandError(f"{name} has no withdrawn version; see: mlp-models list {name}")
    if version is None:
        if len(found) > 1:
            raise CommandError(
                f"{name} has several withdrawn versions: {listed}; say which: mlp-models restore {name} {found[0]}"
            )
        return found[0]
    if version not in found:
        raise CommandError(f"{name}@{version} is not withdrawn; withdrawn are: {listed}")
    return version


ROLLBACK: Final = Command(
    name="rollback",
    summary="withdraw the newest version of a model, so that servers go back to the one before",
    description="Withdraw the newest version of a model: its folder is renamed to a hidden one in one atomic step. "
    "Before that, the next older version is checked as a server would. The number of the withdrawn version is not used "
    "again. `mlp-models restore` undoes it. To go back further, repeat it.",
    examples="""  mlp-models rollback fashion-mnist
  mlp-models rollback fashion-mnist@3     # only if 3 is the newest: safe to repeat""",
    add_arguments=_add_rollback_arguments,
    run=_rollback,
)
RESTORE: Final = Command(
    name="restore",
    summary="bring back a version that was withdrawn",
    description="Undo a rollback. The withdrawn version is checked as a server would, then its folder is renamed back "
    "in one atomic step.",
    examples="""  mlp-models restore fashion-mnist
  mlp-models restore fashion-mnist 3""",
    add_arguments=_add_restore_arguments,
    run=_restore,
)
