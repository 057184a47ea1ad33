"""python -m training.cli.tune, and mlp-tune."""

from typing import NoReturn

from training.run import entry


def main() -> NoReturn:
    """Search, train and publish; the exit status is that of mlp-train."""
    entry.run("mlp-tune", "training.cli.search")


if __name__ == "__main__":
    main()
