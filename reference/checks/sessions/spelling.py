"""Formats arrays and indices in a session's lines as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def literal(x: Any) -> str:
    """Format an array, a list or a number as a Python expression."""
    if not isinstance(x, np.ndarray):
        return repr(x)
    dtype = f", np.{x.dtype}" if x.dtype == np.float32 else ""
    return f"np.array({x.tolist()!r}{dtype})"


def format_index(entries: tuple[Any, ...], names: Mapping[int, str]) -> str:
    """Format an index as it stands between brackets, with arrays by their names."""
    written = [names.get(i) or (_format_slice(entry) if isinstance(entry, slice) else _format_entry(entry))
               for i, entry in enumerate(entries)]  # fmt: skip
    return ", ".join(written) or "()"


def _format_entry(entry: Any) -> str:
    return "..." if entry is Ellipsis else repr(entry)


def _format_slice(entry: slice) -> str:
    start, stop, step = ("" if end is None else str(end) for end in (entry.start, entry.stop, entry.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")
