"""The one table of encodings: a new codec is added here."""

from __future__ import annotations

from typing import Final

from service.http.codecs import arrow_stream, csv_rows, images, json_codec, multipart, npy, raw
from service.http.codecs.codec import Codec

# In the order of the documentation. Answers are in the first one that writes them, unless Accept prefers another.
CODECS: Final[tuple[Codec, ...]] = (
    json_codec.CODEC,
    raw.CODEC,
    npy.CODEC,
    csv_rows.CODEC,
    arrow_stream.CODEC,
    *images.CODECS,
    multipart.CODEC,
)
# The same, with CSV whose first line may be a header or a row.
DETECTING_CODECS: Final = tuple(csv_rows.DETECTING if codec is csv_rows.CODEC else codec for codec in CODECS)
