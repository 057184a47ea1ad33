"""Files that hold no table in text, by their first bytes: what they are, and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.errors import DataError

HEAD_BYTES: Final = 512
_EXPORT: Final = "export it as CSV or Parquet"
_KINDS: Final = (
    (rb"\$FL[23]", "a file of SPSS", f"{_EXPORT}, such as with pandas.read_spss"),
    (rb"<stata_dta>|[\x69-\x75][\x01\x02]\x01\0", "a file of Stata", f"{_EXPORT}, such as with pandas.read_stata"),
    (rb"(?s).{12}\xc2\xea\x81\x60", "a file of SAS", f"{_EXPORT}, such as with pandas.read_sas"),
    (rb"RD[AX][23]\n|X\n\0\0\0", "a file of R", f"{_EXPORT}, with write.csv"),
    (rb"\x89HDF\r\n", "a file of HDF5", f"{_EXPORT}, such as with pandas.read_hdf"),
    (rb"SQLite format 3\0", "an SQLite database", "export one table as CSV"),
    (rb"\x80[\x02-\x05](?:\x95|\]|\}|c)", "a Python pickle", "save its table with to_parquet"),
    (rb"Obj\x01", "a file of Avro", _EXPORT),
    (
        rb"(?i)(?:\s*%[^\n]*\n)*\s*@relation\s",
        "a file of Weka",
        "remove the lines that begin with % or @, add a header",
    ),
    (rb"%PDF-", "a PDF", "look for the data as CSV"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
    (
        rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:html|table|!doctype|\?xml|workbook)",
        "a web page or XML",
        "open it in a spreadsheet and save it as CSV, or download the table itself",
    ),
)
_PATTERNS: Final = tuple((re.compile(start), kind, remedy) for start, kind, remedy in _KINDS)


def check(path: Path, head: bytes) -> None:
    """Raise `DataError` if a file that begins with ``head`` is of a known other kind than text."""
    for start, kind, remedy in _PATTERNS:
        if start.match(head):
            raise DataError(f"{path} is {kind}; {remedy}")
