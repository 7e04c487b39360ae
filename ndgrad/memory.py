"""Memory that one backward pass frees stays available for the next one.

glibc returns the top of its heap to the system as soon as it is free, and a training step frees all that it allocated.
The next step then gets the same pages again one by one, each cleared by the kernel. For arrays of a few kilobytes and
more that costs up to seven times as much as the arithmetic. But glibc does not trim the heap below an array that is
alive, and memory freed below it is reused at once. So after a pass that allocated much, a spare array is placed above
those of the pass. Nothing is written to it, so it takes addresses and hardly any memory, and it is no larger than the
largest array of the pass.

No setting of the process is changed. `keep_freed_memory` does that, for arrays too large for the heap or for programs
with many threads. With another allocator than glibc's the spare array is useless, but harmless.

Not all arrays are on the heap. glibc maps a large array separately, far above the heap, until one of its size has been
freed for the first time; and every thread but the main one has a heap of its own. Such arrays are ignored.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

HEAP = 128 << 10  # bytes: glibc never cuts a heap back below this (M_TRIM_THRESHOLD in mallopt(3))
_MAPPED = 32 << 20  # bytes: larger arrays are never on the heap (M_MMAP_THRESHOLD in mallopt(3))
_SMALL = 1 << 10  # bytes: NumPy caches smaller arrays itself
_SEARCHED = 4  # times the bytes of the pass: the search for a place above it allocates so much at most, gaps come first
_ROOM = 4  # arrays between those of the pass and the spare one, at first: temporaries of ops go there ...
_MOST_ROOM = 64  # ... and at most, if the system still provides new pages
_PAGE = 4 << 10  # bytes: a page of memory
_PART = 16  # if more than this fraction of a pass (1/16) is new pages, there is too little room
_PAUSE = 32  # passes between two checks at most, even if none was larger: the layout of arrays varies
_LONG_PAUSE = 1024  # the same if no place was found: the allocator may be another one


class _Spare:
    """The spare array, and the schedule of its checks."""

    array: np.ndarray | None = None
    room = _ROOM  # arrays between those of a pass and the spare one
    most = 0  # bytes of the largest pass so far
    passes = 0
    pause = 1  # passes between the last check and the next
    next = 0  # the pass of the next check
    faults = 0  # page faults of the process until the last check


_spare = _Spare()


def keep_heap(nbytes: int, arrays: Iterable[Any]) -> None:
    """Ensure that the spare array is above those of a pass. The first passes are checked, then fewer and fewer.

    Args:
        nbytes: how many bytes the pass allocated, roughly. A pass larger than any before is always checked.
        arrays: some of its arrays, all of them still alive.
    """
    _spare.passes += 1
    if _spare.passes < _spare.next and nbytes <= _spare.most:
        return
    _spare.most = max(nbytes, _spare.most)
    _spare.pause = _pause_after(nbytes, arrays)
    _spare.next = _spare.passes + _spare.pause


def _pause_after(nbytes: int, arrays: Iterable[Any]) -> int:
    """Place the spare array if it is not above some others, and return the number of passes until the next check."""
    end, faulted = _heap_end(), _is_faulting(nbytes)
    some = [a for a in arrays if isinstance(a, np.ndarray) and _SMALL < a.nbytes < _MAPPED and _address(a) < end]
    last = max(map(_address, some), default=0)
    if some and _spare.array is not None and _address(_spare.array) > last:
        if not faulted or _spare.room == _MOST_ROOM:
            return min(2 * _spare.pause, _PAUSE)
        _spare.room *= 2  # temporaries of ops are above it
    largest = max((a.nbytes for a in some), default=0)
    if some and _place(largest, last + _spare.room * largest, _SEARCHED * nbytes + _MAPPED):
        return 1
    return min(2 * _spare.pause, _LONG_PAUSE)


def _is_faulting(nbytes: int) -> bool:
    """Return whether the system provided a considerable part of the memory as new pages since the last check."""
    before, _spare.faults = _spare.faults, _page_faults()
    return _spare.faults - before > _spare.pause * nbytes / _PAGE / _PART


def _place(size: int, above: int, most: int) -> bool:
    """Place a spare array on the heap above an address, allocating `most` bytes at most. Return whether that worked."""
    tried: list[np.ndarray] = []
    while len(tried) * size < most:
        tried += [np.empty(size, np.uint8) for _ in range(_ROOM)]  # several, because a gap may hold one
        if above < _address(tried[-1]) < _heap_end():
            _spare.array = tried[-1]
            return True
    return False


def _sbrk() -> Callable[[int], int | None]:
    """Return the C library's `sbrk`, which tells where the heap ends; a function that returns 0 if there is none."""
    try:
        sbrk = ctypes.CDLL(None).sbrk
    except (AttributeError, OSError, TypeError):  # another C library, without the function or without a lookup by name
        return lambda _: 0
    sbrk.argtypes, sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
    return sbrk


_end_of_heap = _sbrk()


def _page_faults() -> int:
    """Return the number of page faults of the process; 0 if the system does not tell."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0


def _heap_end() -> int:
    return _end_of_heap(0) or 0


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def release_memory() -> None:
    """Free the spare array, so that the heap can be trimmed to the memory in use."""
    _spare.array, _spare.most, _spare.pause, _spare.next, _spare.room = None, 0, 1, 0, _ROOM


def keep_freed_memory(most: int = 1 << 30) -> bool:
    """Have glibc keep up to `most` freed bytes at the top of the heap, from now on.

    This changes a setting of the allocator for the whole process: arrays of up to 32 MiB come from the heap, and its
    free top is returned to the system only beyond `most`. See `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` in mallopt(3).

    Args:
        most: a number of bytes, 0 or more and less than 2 GiB.

    Returns:
        Whether the setting was changed. It exists in glibc only.

    Raises:
        ValueError: `most` is out of range.
    """
    if not 0 <= most < 1 << 31:
        raise ValueError(f"most must be a number of bytes from 0 to {(1 << 31) - 1}, but is {most!r}")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, without the function or without a lookup by name
        return False
    trim_threshold, mmap_threshold = -1, -3  # as malloc.h numbers them
    return bool(mallopt(trim_threshold, most)) and bool(mallopt(mmap_threshold, _MAPPED))
