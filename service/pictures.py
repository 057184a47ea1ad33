"""The pixels of a picture, in training and serving alike: upright, 8 bits a channel, on white.

- Only EXIF's orientation is applied. Other metadata is ignored, such as colour profiles and gamma; so is damaged EXIF.
- Transparent parts show white. Of 16 bits the upper 8 are used. Of an animation the first frame is used.
- Greyscale is the luma of ITU-R BT.601, as Pillow computes it; of a JPEG file its own luma channel.
- Resizing is bilinear, with Pillow's filter that is widened to the scale. A JPEG that is at least twice as large is
  decoded at 1/2, 1/4 or 1/8 of its size first.

Pillow must be installed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

Size = tuple[int, int]  # height, width
Pixels = NDArray[np.uint8]
Picture = Image.Image
GREY: Final = "L"
COLOUR: Final = "RGB"

_MODES: Final = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I;16"}
)
# How many pixels are converted at once. Pillow holds all of Python's threads meanwhile, here for a millisecond.
_STRIP_PIXELS: Final = 2**18
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
# https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.4 A, "Orientation"
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """The pixels of a picture cannot be used. The message continues a sentence that begins with the picture's name."""


class _Jpeg(JpegImageFile):
    """A JPEG file whose EXIF tags are not parsed: each of thousands may claim the same megabytes."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


_FILES: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    "PNG": PngImageFile,
    "JPEG": _Jpeg,
    "WEBP": WebPImageFile,
}


def opened(file: bytes, file_format: str) -> Image.Image:
    """The picture in ``file``, of format ``PNG``, ``JPEG`` or ``WEBP``; only its header is parsed.

    Raises what Pillow raises for a damaged file: any `Exception`.
    """
    return _FILES[file_format](io.BytesIO(file))


def read(image: Image.Image, size: Size | None, mode: str = GREY) -> Pixels:
    """The pixels of an opened picture, resized to ``size`` if given: (height, width), or (…, 3) in mode `COLOUR`.

    Raises `PictureError`, and what Pillow raises for a damaged file: any `Exception`.
    """
    longest = None if size is None else (max(size), max(size))  # the picture may be turned
    image.draft(mode, longest or image.size)
    if image.mode not in _MODES:
        raise PictureError(f"has pixels of mode {image.mode!r}, expected 8 or 16 bits per channel; convert it")
    image.load()
    flat = _flat(image, mode)
    turn = _TURNS.get(_orientation(image.info.get("exif", b"")))
    if turn is not None:
        flat = flat.transpose(turn)
    if size is not None:
        flat = flat.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(flat)


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """``image`` in ``mode``, on white."""
    if image.mode == "I;16":
        image = _upper_bits(image)
    is_transparent, opacities = image.has_transparency_data, set[object]()
    if not is_transparent and image.width * image.height <= _STRIP_PIXELS:
        return image.convert(mode)
    flat = Image.new(mode, image.size)
    strip_rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, strip_rows):
        box = (0, top, image.width, min(top + strip_rows, image.height))
        strip = image.crop(box)
        if is_transparent:
            strip = strip.convert("RGBA")
            opacities.update(strip.getchannel("A").getextrema())
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        flat.paste(strip.convert(mode), box)
    if len(opacities) > 1 and flat.convert(GREY).getextrema() == (255, 255):
        raise PictureError("is white on transparent, which is invisible on white; give it a black background")
    return flat


def _upper_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))))


def _orientation(exif: bytes) -> int:
    """The orientation in EXIF data, which is a TIFF file: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf

    1, upright, if there is none.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    orders: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
    order = orders.get(tiff[:4])
    if order is None:
        return 1
    first = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[first : first + 2], order)
    for at in range(first + 2, min(first + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind = (int.from_bytes(tiff[start : start + 2], order) for start in (at, at + 2))
        if tag == _ORIENTATION and kind == _SHORT:
            return int.from_bytes(tiff[at + 8 : at + 10], order)
    return 1
