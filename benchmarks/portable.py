"""This server as it is where nothing was compiled:  python -m benchmarks.portable, with the options of mlp-serve."""

from __future__ import annotations

import sys

from service.__main__ import main
from service.http.codecs import regular_json

if __name__ == "__main__":
    regular_json.array = regular_json.portable  # type: ignore[misc]
    sys.exit(main())
