"""What all pictures of the card have in common: colours that the colour-blind can tell apart, fonts, and PNG files."""

from __future__ import annotations

import io
import warnings
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Teal and vermilion differ in lightness too: also in grey, and to those who do not see red or green.
INK: Final = "#0b7285"
CONTRAST: Final = "#d9480f"
FAINT: Final = "#868e96"
TEXT: Final[dict[Any, Any]] = {"font.size": 9, "text.parse_math": False}  # a label may be "$5 to $9"
STYLE: Final[dict[Any, Any]] = TEXT | {"axes.spines.top": False, "axes.spines.right": False}
_DOTS_PER_INCH: Final = 160
_GROUPED: Final = 10_000  # from here on, thousands are separated


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # labels may be in any script
        # Without matplotlib's version in it, the same figure gives the same bytes.
        figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": ""})
    return file.getvalue()


def shorten(name: str, characters: int) -> str:
    """The beginning and end of a long ``name``, on one line: names of one data set often begin alike."""
    line = " ".join(name.split())
    end = characters // 3
    return line if len(line) <= characters else f"{line[: characters - end - 1].rstrip()}…{line[-end:].lstrip()}"


def few_ticks(axes: Axes, which: str = "both", most: int = 6) -> None:
    """Label an axis at a few round numbers, so that long ones do not touch."""
    for axis in (axes.xaxis, axes.yaxis):
        if which in {"both", axis.axis_name}:
            axis.set_major_locator(MaxNLocator(most - 1))
            axis.set_major_formatter(FuncFormatter(_number))


def _number(value: float, _position: int) -> str:
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= _GROUPED else f"{value:.6g}"
