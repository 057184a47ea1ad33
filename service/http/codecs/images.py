"""Pictures: files → rows of pixels, in a thread. As a body of their own: image/png, image/jpeg and image/webp.

`service.pictures` reads a file as training does. What clients send is checked here before pixels are read: the format,
the size, and what would take much memory or time to decode.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import BodyTooLarge, Fault, InvalidInput, MalformedBody, RequestError, UnsupportedMedia
from service.http.codecs import image_parts
from service.http.codecs.codec import Codec, MediaObject
from service.http.options import RowOptions
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.schema import Schema
from service.inference.steps import Steps, in_thread

if TYPE_CHECKING:
    from service.pictures import Picture

FORMATS: Final = {"PNG": b"image/png", "JPEG": b"image/jpeg", "WEBP": b"image/webp"}
INSTALL: Final = "install it with: pip install 'mlp-serving[images]'"

_MODES: Final = {(): "L", (1,): "L", (3,): "RGB"}  # by what follows height and width in the model's shape
# The largest picture that is resized: 24 megapixels, as many cameras have, and a little more. Of WebP, Pillow copies
# all pixels at once, several times.
_MAX_PIXELS: Final = {"PNG": 25_000_000, "JPEG": 25_000_000, "WEBP": 5_000_000}
# Larger ones are decoded one at a time, since they take 16 bytes a pixel at worst.
_LARGE_PIXELS: Final = 1_000_000
# The rows of one request. A small file can have many pixels.
_MAX_ROWS_BYTES: Final = 64 * 1024**2
# Progressive JPEG files have about ten. Each scan may touch all pixels, however short it is.
_MAX_SCANS: Final = 100
_SCAN: Final = b"\xff\xda"
_SHOWN_BYTES: Final = 8

_decoding_large = threading.Lock()


class Shape(NamedTuple):
    """Of a model's pictures. ``mode`` is Pillow's: L for greyscale, RGB for colour."""

    height: int
    width: int
    mode: str


class _Subject(NamedTuple):
    """The picture an error is about: the whole body, or one of its rows."""

    name: str
    row: int | None

    def malformed(self, detail: str) -> RequestError:
        detail = f"{self.name} {detail}"
        return MalformedBody(detail) if self.row is None else InvalidInput(Fault(detail, row=self.row))

    def invalid(self, detail: str) -> InvalidInput:
        return InvalidInput(Fault(f"{self.name} {detail}", row=self.row or 0))


def shape_of(schema: Schema) -> Shape | None:
    """The shape of the pictures that a model takes; None if it takes none."""
    if schema.brightest is None or len(schema.shape) < 2 or schema.shape[2:] not in _MODES:
        return None
    return Shape(schema.shape[0], schema.shape[1], _MODES[schema.shape[2:]])


def require_shape(schema: Schema) -> Shape:
    """The shape of the pictures that a model takes. Raises `UnsupportedMedia` if it takes none."""
    shape = shape_of(schema)
    if shape is None:
        raise UnsupportedMedia(f"this model takes rows of {schema.width} values, and no images; send application/json")
    return shape


def rows_in_thread(files: Sequence[bytes], options: RowOptions, schema: Schema) -> Steps[Rows]:
    """One row for each file of several. Raises `InvalidInput`, naming the first bad row, and `BodyTooLarge`."""
    return in_thread(rows_of(files, options, schema))


def rows_of(files: Sequence[bytes], options: RowOptions, schema: Schema) -> Steps[Rows]:
    """The same, for a thread."""
    shape = require_shape(schema)
    schema.check_count(len(files))
    if len(files) * schema.width > _MAX_ROWS_BYTES:
        most = _MAX_ROWS_BYTES // schema.width
        raise BodyTooLarge(
            f"there are {len(files)} images of {schema.width} values, expected at most {most}; send fewer at once"
        )
    rows = np.empty((len(files), schema.width), np.uint8)
    for row, file in enumerate(files):
        subject = _Subject(f"row {row}", row)
        rows[row] = _pixels(file, _format_of(file, subject), shape, options, subject).reshape(-1)
        yield
    return rows


def describe(models: Sequence[Model], content: MediaObject) -> MediaObject | None:
    """``content`` with the sizes of the models' pictures; None if no model takes any, or Pillow is not installed."""
    shapes = {model.manifest.name: shape_of(model.schema) for model in models}
    sizes = [f"{name}: {shape.height} x {shape.width} pixels" for name, shape in shapes.items() if shape is not None]
    if not sizes or find_spec("PIL") is None:
        return None
    return {"schema": content | {"description": f"{', '.join(sizes)}; any size with resize=true"}}


def _decode(file_format: str, body: bytes, options: RowOptions, schema: Schema) -> Steps[Rows]:
    return in_thread(_one(file_format, body, options, schema, require_shape(schema)))


def _one(file_format: str, body: bytes, options: RowOptions, schema: Schema, shape: Shape) -> Steps[Rows]:
    subject = _Subject("the image", None)
    found = _format_of(body, subject)
    if found != file_format:
        is_said, belongs = (FORMATS[each].decode() for each in (file_format, found))
        raise MalformedBody(f"the body is a {found} file, and content-type is {is_said}; send content-type: {belongs}")
    yield
    return _pixels(body, found, shape, options, subject).reshape(1, schema.width)


def _format_of(file: bytes, subject: _Subject) -> str:
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if file.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if file.startswith(b"RIFF") and file[8:12] == b"WEBP":
        return "WEBP"
    begins = f"begins with {file[:_SHOWN_BYTES]!r}" if file else "is empty"
    raise subject.malformed(f"is no PNG, JPEG or WebP file: it {begins}; convert it, or send its pixels as JSON")


def _pixels(file: bytes, file_format: str, shape: Shape, options: RowOptions, subject: _Subject) -> NDArray[np.uint8]:
    """The pixels of one file: (height, width), or (height, width, 3)."""
    try:
        from service import pictures  # noqa: PLC0415 - it takes long, and most servers need it never
    except ImportError as error:
        raise UnsupportedMedia(f"this server cannot decode images, as Pillow is not installed; {INSTALL}") from error
    if file_format == "JPEG" and file.count(_SCAN) > _MAX_SCANS:
        raise subject.invalid(f"has more than {_MAX_SCANS} scans; save it again")
    if too_much := image_parts.excess(file, file_format):
        raise subject.invalid(f"has {too_much}; save it again")
    try:
        image = pictures.opened(file, file_format)
        _check_size(image, shape, _MAX_PIXELS[file_format] if options.resize else None, subject)
        size = (shape.height, shape.width) if options.resize else None
        if image.width * image.height < _LARGE_PIXELS:
            pixels = pictures.read(image, size, shape.mode)
        else:
            with _decoding_large:
                pixels = pictures.read(image, size, shape.mode)
    except pictures.PictureError as error:
        raise subject.invalid(str(error)) from error
    except RequestError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file leads to
        raise subject.malformed(f"cannot be read as {file_format} ({error!s:.100}); save it again") from error
    if pixels.shape[:2] != shape[:2]:  # EXIF turned it
        raise _wrong_size(pixels.shape[:2], shape, subject)
    return pixels


def _check_size(image: Picture, shape: Shape, resized_pixels: int | None, subject: _Subject) -> None:
    """Check the size in the header; up to ``resized_pixels`` are accepted if given. Raises `InvalidInput`."""
    width, height = image.size
    if resized_pixels is None:
        if shape[:2] not in {(height, width), (width, height)}:  # EXIF may turn it
            raise _wrong_size((height, width), shape, subject)
    elif width * height > resized_pixels:
        raise subject.invalid(
            f"has {height} x {width} pixels (height x width), expected at most {resized_pixels:,} pixels; scale it down"
        )


def _wrong_size(found: tuple[int, ...], shape: Shape, subject: _Subject) -> InvalidInput:
    return subject.invalid(
        f"has {found[0]} x {found[1]} pixels (height x width), expected {shape.height} x {shape.width}; send it in "
        "this size, or with ?resize=true"
    )


def _codec(file_format: str, *media_types: bytes) -> Codec:
    binary = {"type": "string", "contentMediaType": media_types[0].decode()}
    return Codec(media_types, partial(_decode, file_format), lambda models: describe(models, binary))


CODECS: Final = (
    _codec("PNG", FORMATS["PNG"]),
    _codec("JPEG", FORMATS["JPEG"], b"image/jpg"),  # the second is no registered type, and widely used
    _codec("WEBP", FORMATS["WEBP"]),
)
