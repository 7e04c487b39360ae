"""A check for plain arrays: a graph of plain arrays would silently lose what a subclass adds to the numbers."""

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
    """Raise an error for an array of a subclass, alone or in lists.

    Args:
        data: the data that an array will be made from.
        what: the name of the data in the error.

    Raises:
        TypeError: `data` holds a masked array, a matrix, or an array of another subclass of NumPy's.
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
    """Return the name of the known subclass that an array is of. By name, so that numpy.ma need not be imported."""
    return next((kind.__name__ for kind in type(array).__mro__ if kind.__name__ in _MEANING), "")
