"""Pictures of every mode, as files, and an oracle that reads them with Pillow's whole-image functions."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

MODES = {
    "PNG": ("1", "L", "LA", "P", "P+A", "RGB", "RGBA", "I;16", "L+t", "RGB+t", "P+t", "1+t", "I;16+t"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}


def drawn(mode: str, height: int, width: int, seed: int) -> tuple[Image.Image, dict[str, Any]]:
    """A picture of random pixels, and options to save it with: ``+t`` is PNG's transparent colour."""
    random = np.random.default_rng(seed)
    name, _, extra = mode.partition("+")
    if name == "I;16":
        values = random.integers(0, 2**16, (height, width), np.uint16)
        return Image.fromarray(values), {"transparency": int(values[0, 0])} if extra else {}
    image = Image.fromarray(random.integers(0, 256, (height, width, 4), np.uint8), "CMYK" if name == "CMYK" else "RGBA")
    if name == "P":
        image = image.convert("RGB").quantize(16)
        alphas = bytes(random.integers(0, 256, 16, np.uint8))
        return image, {"transparency": {"A": alphas, "t": 3}[extra]} if extra else {}
    image = image.convert(name)
    colour = image.getpixel((0, 0))
    return image, {"transparency": colour} if extra else {}


def file_of(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if file_format == "WEBP":
        options = {"lossless": True, "exact": True, **options}
    image.save(file, file_format, **options)
    return file.getvalue()


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "a maker"  # before it
    exif[0x0112] = value
    exif[0x0131] = "a program"  # after it
    return exif


def expected(file: bytes, size: tuple[int, int] | None, mode: str = "L") -> NDArray[np.uint8]:
    """The pixels of a file, read as a whole."""
    image = Image.open(io.BytesIO(file))
    image.draft(mode, image.size if size is None else (max(size), max(size)))
    image.load()
    if image.mode == "I;16":
        values = np.asarray(image).copy()
        if "transparency" in image.info:
            values[values == image.info["transparency"]] = 2**16 - 1
        upright = ImageOps.exif_transpose(Image.fromarray((values // 256).astype(np.uint8)))
    else:
        upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    flat = upright.convert(mode)
    if size is not None:
        flat = flat.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(flat)


@st.composite
def files(draw: st.DrawFn, edge: int = 40, *, size: tuple[int, int] | None = None) -> tuple[str, bytes]:
    """A format, and a file of it."""
    file_format = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[file_format]))
    height, width = size or (draw(st.integers(1, edge)), draw(st.integers(1, edge)))
    image, options = drawn(mode, height, width, draw(st.integers(0, 2**32)))
    if file_format == "JPEG" and draw(st.booleans()):
        options["progressive"] = True
    orientation = draw(st.integers(0, 9))
    if orientation and not mode.startswith("I;16"):  # the oracle loses it
        if size and 5 <= orientation <= 8:
            image = image.transpose(Image.Transpose.ROTATE_90)
        options["exif"] = oriented(orientation)
    return file_format, file_of(image, file_format, **options)


def write(folder: Path, file: bytes) -> Path:
    path = folder / "picture.png"  # the bytes tell the format
    path.write_bytes(file)
    return path
