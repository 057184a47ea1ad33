"""python -m training, and mlp-train."""

from typing import NoReturn

from training.run import entry


def main() -> NoReturn:
    """Train and publish.

    The exit status is 0 if a version was published or help was printed, 1 after an error, 2 for arguments that cannot
    be parsed, 3 if the version was refused, 130 after SIGINT and 143 after SIGTERM.
    """
    entry.run("mlp-train", "training.cli.run")


if __name__ == "__main__":
    main()
