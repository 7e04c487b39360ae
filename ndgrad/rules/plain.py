"""Arrays that are no more than their numbers. What a subclass adds, a graph of plain arrays would lose in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_PLAIN = frozenset({np.ndarray, np.memmap})
_SCALARS = frozenset({int, float, bool, np.float64, np.float32})
_OTHERS = "whose meaning would be lost: np.asarray(x) gives the plain numbers"
_MEANING = {
    "MaskedArray": "whose mask would be lost: fill it (.filled(0.0)) or compress it (.compressed()) first",
    "matrix": "whose * is a product of matrices: write np.asarray(m), and @ for that product",
}


def check_plain(data: Any, what: str) -> None:
    """Refuse an array, alone or in lists, that is more than its numbers.

    Args:
        data: what an array is to be made from.
        what: what the error calls it.

    Raises:
        TypeError: it is a masked array, a matrix, or of another subclass of NumPy's array.
    """
    for array in _arrays_in(data):
        if array.__class__ not in _PLAIN:
            raise TypeError(f"{what} is a {type(array).__name__}, {_MEANING.get(_family(array), _OTHERS)}")


def _arrays_in(data: Any) -> Iterator[np.ndarray]:
    if isinstance(data, np.ndarray):
        yield data
    elif isinstance(data, (list, tuple)) and set(map(type, data)) - _SCALARS:
        for entry in data:
            yield from _arrays_in(entry)


def _family(array: np.ndarray) -> str:
    """The class with a meaning of its own that an array's class comes from. numpy.ma is not loaded for it."""
    return next((kind.__name__ for kind in type(array).__mro__ if kind.__name__ in _MEANING), "")
