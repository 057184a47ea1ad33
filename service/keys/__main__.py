"""python -m service.keys new NAME: make an API key.

The line for the file goes to the standard output, and the key to the standard error, where it is seen once:

    python -m service.keys new web >> keys
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from service.keys import api_key, key_file
from service.keys.key_file import Key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 if the line cannot be written, 2 for an invalid command line."""
    given = _parser().parse_args(arguments)
    key = api_key.new()
    line = Key(given.name, api_key.digest(key.encode()), given.requests_per_s, given.rows_per_s).line()
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"the line of key {given.name} cannot be written: {error.strerror}; no key was made\n")
        return 1
    if sys.stdout.isatty():
        sys.stderr.write("The line above is for the file of --api-keys-file; it is no secret.\n")
    sys.stderr.write(f"The key {given.name}, for its client; it is shown once and not stored:\n{key}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.keys", description="API keys of mlp-serve.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key: its line on the standard output, the key on the standard error")
    new.add_argument("name", type=_name, help="who or what uses the key; the log of requests shows it")
    for option, what in (("--requests-per-s", "requests"), ("--rows-per-s", "rows")):
        new.add_argument(option, type=_limit, default=0.0, metavar="N", help=f"limit of {what}; default: none")
    return parser


def _name(text: str) -> str:
    if not key_file.valid_name(text):
        raise argparse.ArgumentTypeError(f"{text!r:.80} is no name of up to 64 letters, digits, '.', '_' and '-'")
    return text


def _limit(text: str) -> float:
    try:
        return key_file.limit(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is no number from {key_file.LEAST_LIMIT:g} up") from None


if __name__ == "__main__":
    sys.exit(main())
