"""Formats numbers for the page, and packs them into text that JavaScript unpacks to the same bits."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

DIGITS = ".21g"  # the format of exact numbers: four digits more than a double has
FEW = 8  # the most numbers of an array that are shown
_SMALL, _BIG = 1e-3, 1e6


def pack(array: Any) -> dict[str, Any]:
    """Pack an array for JavaScript: its shape, and its bytes in base64. All but bytes become doubles."""
    array = np.asarray(array)
    kind = "u1" if array.dtype == np.uint8 else "f8"
    data = base64.b64encode(np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()).decode()
    return {"shape": list(array.shape), kind: data}


def script(data: Any) -> Markup:
    """Write data as JSON for a script element, without `<`, which could end the element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - it has just been escaped


def full(number: Any) -> str:
    """Format a number with all digits."""
    if number is None:
        return "–"
    return str(number.item() if isinstance(number, np.generic | np.ndarray) else number)


def exact_text(number: Any) -> str:
    """Format an exact number with more digits than a double has; a dash if the witness has none."""
    return "–" if number is None else format(number, DIGITS)


def short(number: Any) -> str:
    """Format a number for a picture."""
    number = float(number)
    return f"{number:.4f}" if number and _SMALL <= abs(number) < _BIG and not number.is_integer() else f"{number:.4g}"


def lines(array: Any) -> list[str]:
    """Format an array for a picture, with a line for each row of a small matrix."""
    array = np.asarray(array)
    if array.ndim == 0:
        return [short(array[()])]
    if array.ndim > 2 or array.size > FEW:  # noqa: PLR2004 - a matrix has two
        return [f"shape {array.shape}", f"[{', '.join(map(short, array.flat[:3]))}{', …' * (array.size > 3)}]"]  # noqa: PLR2004
    return [f"[{', '.join(map(short, row))}]" for row in np.atleast_2d(array)]


def places(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the places of an array that are shown."""
    return list(np.ndindex(*shape))[:FEW]


def ulp_text(distance: float) -> str:
    """Format a distance in ULP."""
    digits, _, exponent = f"{distance:.0e}".partition("e")
    return f"{distance:.0f}" if distance < _BIG or not exponent else f"{digits}e{int(exponent)}"
