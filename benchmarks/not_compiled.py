"""This server where nothing was compiled:  python -m benchmarks.not_compiled, with the options of mlp-serve."""

from __future__ import annotations

import sys

from service.__main__ import main
from service.http.codecs import regular_json

if __name__ == "__main__":
    # It is final everywhere else: whether there is a library is known at the import.
    regular_json.array = regular_json.by_simdjson  # type: ignore[misc]
    sys.exit(main())
