"""An array as a small heat map: a table of coloured cells, in Graphviz's HTML.

It knows arrays and colours. White is 0, blue above it, orange below, the darker the further. As a colour is never the
only sign, `spread` says in words how far the numbers reach. Of an array too large for the map, each cell is a mean.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

ROWS, COLUMNS = 8, 16  # no map has more
_SIDE = 7  # of a cell at least, in points; the cells of a map fill the width of its box

_WHITE, _BLUE, _ORANGE = (255, 255, 255), (33, 102, 172), (179, 88, 6)
_NAN = "#808080"  # no mean: grey, and crossed


def heat_map(array: np.ndarray) -> str:
    """Draw an array with at least one axis and one number.

    Args:
        array: its last axis runs to the right, all others downwards.

    Returns:
        A table in Graphviz's HTML, to stand in a label.
    """
    means = _means(array.reshape(-1, array.shape[-1]).astype(float))
    largest = float(np.abs(means[np.isfinite(means)]).max(initial=0.0)) or 1.0
    rows = ("".join(_cell(mean, largest) for mean in row) for row in means.tolist())
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" COLOR="#999999">{table}</TABLE>'


def spread(array: np.ndarray) -> str:
    """Say from where to where the finite numbers of an array reach, and how many others there are."""
    finite = array[np.isfinite(array)]
    others = array.size - finite.size
    reach = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else ""
    return ", ".join(filter(None, [reach, f"{others} not finite" if others else ""]))


def _means(matrix: np.ndarray) -> np.ndarray:
    """A matrix of means over blocks, of at most so many rows and columns. Every number counts, be it NaN."""
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
    """From orange at -1 through white to blue at 1."""
    end = _BLUE if part > 0 else _ORANGE
    mixed = (round(white + abs(part) * (to - white)) for white, to in zip(_WHITE, end, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
