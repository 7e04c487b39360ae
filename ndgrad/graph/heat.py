"""Heat maps of arrays: a table of coloured cells, in Graphviz's HTML.

White is 0, blue is positive and orange is negative; the larger the magnitude, the darker. Since a colour must not be
the only sign, `spread` gives the range of the numbers as text. In the map of a large array each cell is a mean.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

ROWS, COLUMNS = 8, 16  # the largest map
_SIDE = 7  # points: the smallest side of a cell; the cells of a map fill the width of its box

_WHITE, _BLUE, _ORANGE = (255, 255, 255), (33, 102, 172), (179, 88, 6)
_NAN = "#808080"  # a mean of NaN is grey, with a cross


def heat_map(array: np.ndarray) -> str:
    """Draw an array with at least one axis and one number.

    Args:
        array: the last axis runs to the right, all others run downwards.

    Returns:
        A table in Graphviz's HTML, for use in a label.
    """
    means = _means(array.reshape(-1, array.shape[-1]).astype(float))
    largest = float(np.abs(means[np.isfinite(means)]).max(initial=0.0)) or 1.0
    rows = ("".join(_cell(mean, largest) for mean in row) for row in means.tolist())
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" COLOR="#999999">{table}</TABLE>'


def spread(array: np.ndarray) -> str:
    """Describe the range of the finite numbers of an array, and count the others."""
    finite = array[np.isfinite(array)]
    others = array.size - finite.size
    reach = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else ""
    return ", ".join(filter(None, [reach, f"{others} not finite" if others else ""]))


def _means(matrix: np.ndarray) -> np.ndarray:
    """Average a matrix over blocks, to at most `ROWS` rows and `COLUMNS` columns. NaN is not ignored."""
    with np.errstate(all="ignore"):
        return _along_rows(_along_rows(matrix, ROWS).T, COLUMNS).T


def _along_rows(matrix: np.ndarray, most: int) -> np.ndarray:
    n = len(matrix)
    cuts = [i * n // min(n, most) for i in range(min(n, most) + 1)]
    return np.stack([matrix[start:stop].mean(axis=0) for start, stop in pairwise(cuts)])


def _cell(mean: float, largest: float) -> str:
    size = f'WIDTH="{_SIDE}" HEIGHT="{_SIDE}"'
    if np.isnan(mean):
        return f'<TD {size} BGCOLOR="{_NAN}"><FONT POINT-SIZE="6">×</FONT></TD>'
    return f'<TD {size} BGCOLOR="{_colour(float(np.clip(mean / largest, -1, 1)))}"></TD>'


def _colour(part: float) -> str:
    """Interpolate from orange at -1 through white to blue at 1."""
    end = _BLUE if part > 0 else _ORANGE
    mixed = (round(white + abs(part) * (to - white)) for white, to in zip(_WHITE, end, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
