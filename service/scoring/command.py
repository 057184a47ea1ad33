"""The command line of mlp-score."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from typing import Final

from service.models import parser as models_parser
from service.models.parser import SERVER, Parser

PROGRAM: Final = "mlp-score"
_DESCRIPTION: Final = """Score the rows of a file with a published model: the answers that a server would give, as fast
as the processors allow, in memory that does not grow with the file.

The output has the rows of the input in their order: its columns, and the answers beside them. It appears whole at the
end, or not at all."""
_FORMATS: Final = """inputs, by suffix:
  .parquet .pq                 a file; or a folder of them, also partitioned as in year=2026/month=1/
  .arrow .feather .ipc         an Arrow file or stream
  .csv .tsv .txt               a text table with a header, read as the server reads CSV; also .gz, .zst and .bz2
  .jsonl .ndjson               an object by feature name on each line; also compressed
  .npy .npz                    an array (rows, features), or nested to the model's shape
  a folder of pictures         PNG, JPEG and WebP, for a model of images
outputs: .parquet, .csv, .tsv, .jsonl; text also with .gz or .zst
Both may be URLs such as s3://bucket/rows.parquet, with mlp-serving[remote].

exit status: 0 if the output is written, 1 if it is not, 2 for an invalid command line, 130 or 143 if a signal ended it.

examples:
  mlp-score houses june.csv scored.csv
  mlp-score churn@3 customers/ churn.parquet --keep id --probabilities
  mlp-score houses june.parquet scored.parquet --on-error null --resume
"""


_SERVER: Final = SERVER | {
    "--unseen-values": {
        "metavar": "DO",
        "help": "refuse or impute them (default: $MLP_UNSEEN_VALUES, or refuse)",
    }
}


def parser() -> Parser:
    """The parser of all arguments."""
    found = Parser(
        PROGRAM,
        description=_DESCRIPTION,
        epilog=_FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = found.add_argument
    add("model", metavar="MODEL", help="name (the version that a server would serve), name@version, or a folder")
    add("input", metavar="INPUT", help="a file, a folder, or a URL")
    add("output", metavar="OUTPUT", help="the file to write; its suffix is its format")
    add("--version", action="version", version=f"{PROGRAM} {version('mlp-serving')}")
    _add_columns(found.add_argument_group("columns of the output"))
    _add_bad_rows(found.add_argument_group("rows that do not fit the model"))
    _add_run(found.add_argument_group("the run"))
    _add_server(found.add_argument_group("as the server", "options of mlp-serve; MLP_* variables apply, too"))
    return found


def _add_columns(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--keep",
        nargs="*",
        metavar="COLUMN",
        help="columns of the input to keep; with none, --keep keeps none (default: all)",
    )
    add("--probabilities", action="store_true", help="add probability_<label> for each label of a classification")
    add("--top-k", type=int, default=0, metavar="K", help="add the K most probable labels, with their probabilities")
    add("--prefix", default="", metavar="TEXT", help="what begins the names of the answers, as in model_prediction")


def _add_bad_rows(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--on-error",
        choices=("fail", "skip", "null"),
        default="fail",
        help="fail: stop, and write nothing (default); skip: leave them out; null: keep them with nulls and a column "
        "error that has the reason",
    )
    group.add_argument("--resize", action="store_true", help="take pictures of any size, and resize them")


def _add_run(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--overwrite", action="store_true", help="replace an output that exists")
    add("--resume", action="store_true", help="keep what is scored when the run is stopped, and go on next time")
    add("--threads", type=_count, metavar="N", help="how many threads score rows (default: one for each processor)")
    add(
        "--ray",
        metavar="ADDRESS",
        help="score on the workers of a Ray cluster; local: start one on this machine; auto or HOST:PORT: use the one "
        "that this machine belongs to, whose machines see the input and the models; needs mlp-serving[ray]",
    )
    add("--ray-workers", type=int, default=2, metavar="N", help="workers, each with a model of its own (default: 2)")
    add("--ray-logs", action="store_true", help="print what Ray and its workers log")
    add("--quiet", action="store_true", help="show no progress and no summary")


def _add_server(group: argparse._ArgumentGroup) -> None:
    for flag, settings in _SERVER.items():
        group.add_argument(flag, **settings)


def server_arguments(options: argparse.Namespace) -> list[str]:
    """The given options of the server, as `service.settings.load` takes them."""
    return models_parser.server_arguments(options, _SERVER)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r:.40}, expected a number of threads from 1 to 1024")
    return int(text)
