"""Numbers as the page needs them: written out, and packed into text that JavaScript unpacks to the same bits."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

DIGITS = ".21g"  # of exact numbers: four more than a double has
FEW = 8  # numbers of an array that are shown
_SMALL, _BIG = 1e-3, 1e6


def packed(array: Any) -> dict[str, Any]:
    """An array for JavaScript: its shape, and its bytes in base64; bytes stay bytes, all else becomes doubles."""
    array = np.asarray(array)
    kind = "u1" if array.dtype == np.uint8 else "f8"
    data = base64.b64encode(np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()).decode()
    return {"shape": list(array.shape), kind: data}


def script(data: Any) -> Markup:
    """Data as it may stand in a script element, whatever text is in it: no `<` could end the element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - made safe right here


def full(number: Any) -> str:
    """A number with all its digits; of a double that is whole, no more than needed."""
    if number is None:
        return "–"
    return str(number.item() if isinstance(number, np.generic | np.ndarray) else number)


def exact_text(number: Any) -> str:
    """An exact number with more digits than a double has; a dash where the witness does not tell."""
    return "–" if number is None else format(number, DIGITS)


def short(number: Any) -> str:
    """A number as it stands in a picture."""
    number = float(number)
    return f"{number:.4f}" if number and _SMALL <= abs(number) < _BIG and not number.is_integer() else f"{number:.4g}"


def lines(array: Any) -> list[str]:
    """An array as it stands in a picture, a line for each row of a small matrix."""
    array = np.asarray(array)
    if array.ndim == 0:
        return [short(array[()])]
    if array.ndim > 2 or array.size > FEW:  # noqa: PLR2004 - a matrix has two
        return [f"shape {array.shape}", f"[{', '.join(map(short, array.flat[:3]))}{', …' * (array.size > 3)}]"]  # noqa: PLR2004
    return [f"[{', '.join(map(short, row))}]" for row in np.atleast_2d(array)]


def places(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """The places of an array that are shown."""
    return list(np.ndindex(*shape))[:FEW]


def ulp_text(distance: float) -> str:
    """A distance in ULP."""
    digits, _, exponent = f"{distance:.0e}".partition("e")
    return f"{distance:.0f}" if distance < _BIG or not exponent else f"{digits}e{int(exponent)}"
