"""The start: what is imported for it, and what is left to the garbage collector."""

from __future__ import annotations

import subprocess
import sys

from tests.service.running import environment


def printed(program: str) -> list[str]:
    """The lines that ``program`` prints in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


def test_what_is_imported_is_exempt_from_garbage_collection() -> None:
    program = (
        "import gc, sys; from service import __main__\n"
        "def hook(event, arguments):\n"
        "    if event == 'import' and arguments[0] == 'service.app': print('collects', gc.isenabled())\n"
        "sys.addaudithook(hook)\n"
        "try: __main__.main(['--help'])\n"
        "except SystemExit: print('collects', gc.isenabled(), gc.get_freeze_count() > 50_000)"
    )
    first, *_help, last = printed(program)
    assert (first, last) == ("collects False", "collects True True")
