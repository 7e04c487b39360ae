"""How memory that one pass has freed stays at hand for the next.

glibc gives the top of its heap back to the system as soon as it is free, and a training step frees all that it took:
the next step is handed the same pages again one by one, each cleared by the kernel. For arrays of a few kilobytes and
more that costs more than the arithmetic, up to seven times as much. But an array that stays alive keeps the heap from
being cut back below it, and what is freed underneath is used again at once. So after a pass that took more than any
before, a spare array is placed above those of the pass. Nobody writes to it, so it takes addresses and hardly any
memory, and it is no larger than the largest array of the pass.

It changes no setting of the process. Whoever wants that, for arrays too large to be on the heap or for programs with
many threads, asks for it: `keep_freed_memory`. Where memory is managed in another way than glibc's, the spare array is
of no use, and does no harm.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np

HEAP = 128 << 10  # bytes: glibc never cuts a heap back below this (M_TRIM_THRESHOLD in mallopt(3))
_MAPPED = 32 << 20  # bytes: arrays from this size on are no part of the heap (M_MMAP_THRESHOLD in mallopt(3))
_SMALL = 1 << 10  # bytes: smaller arrays NumPy keeps by itself
_SEARCHED = 4  # times what the pass took: so much is filled at the most to find a place above it, gaps come first
_ROOM = 4  # arrays between those of the pass and the spare one: what ops take for a moment goes there
_AGAIN = 32  # passes after which to look again, though none took more: arrays do not always lie alike


class _Spare:
    """The spare array, and what it was placed for."""

    array: np.ndarray | None = None
    most = 0  # bytes that a pass took, at the most so far
    passes = 0
    patience = 10  # how often it may fail to find a place: for ever, where memory is managed in another way


_spare = _Spare()


def keep_heap(took: int, arrays: Iterable[Any]) -> None:
    """Place the spare array above those of a pass, if this pass took more than any before.

    Args:
        took: how many bytes the pass took, roughly.
        arrays: some of its arrays, all of them still alive.
    """
    _spare.passes += 1
    if not _spare.patience or (took <= _spare.most and _spare.passes % _AGAIN):
        return
    some = [a for a in arrays if isinstance(a, np.ndarray) and _SMALL < a.nbytes < _MAPPED]
    if not some:
        return
    largest = max(a.nbytes for a in some)
    top = max(map(_address, some)) + _ROOM * largest
    if _spare.array is not None and _address(_spare.array) > top:
        return
    placed: list[np.ndarray] = []
    while len(placed) * largest < _SEARCHED * took + _MAPPED:
        placed += [np.empty(largest, np.uint8) for _ in range(_ROOM)]
        if _address(placed[-1]) > top:
            _spare.array, _spare.most = placed[-1], took
            return
    _spare.patience -= 1


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def release_memory() -> None:
    """Let go of the spare array: the heap may be cut back to what is in use."""
    _spare.array, _spare.most = None, 0


def keep_freed_memory(most: int = 1 << 30) -> bool:
    """Have glibc keep up to so many freed bytes at hand, in the whole process, from now on.

    A setting of the allocator, for all that runs in this process: arrays of up to 32 MiB come from the heap, and its
    free top is given back only beyond `most`. See `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` in mallopt(3).

    Args:
        most: bytes, from 0 on and less than 2 GiB.

    Returns:
        Whether there is such a setting here: only with glibc.

    Raises:
        ValueError: `most` is no such number.
    """
    if not 0 <= most < 1 << 31:
        raise ValueError(f"most must be a number of bytes from 0 to {(1 << 31) - 1}, but is {most!r}")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library: no such function, or none to be found by name
        return False
    trim_threshold, mmap_threshold = -1, -3  # as malloc.h numbers them
    return bool(mallopt(trim_threshold, most)) and bool(mallopt(mmap_threshold, _MAPPED))
