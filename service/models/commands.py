"""The table of all commands."""

from __future__ import annotations

from typing import Final

from service.models import check, compare, listing, prune, publish, pull, rollback

COMMANDS: Final = (
    listing.COMMAND,
    check.COMMAND,
    compare.COMMAND,
    publish.COMMAND,
    pull.COMMAND,
    rollback.ROLLBACK,
    rollback.RESTORE,
    prune.COMMAND,
)
