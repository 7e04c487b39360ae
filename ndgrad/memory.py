"""How memory that one pass has freed stays at hand for the next.

glibc gives the top of its heap back to the system as soon as it is free, and a training step frees all that it took:
the next step is handed the same pages again one by one, each cleared by the kernel. For arrays of a few kilobytes and
more that costs more than the arithmetic, up to seven times as much. But an array that stays alive keeps the heap from
being cut back below it, and what is freed underneath is used again at once. So after a pass that took much, a
spare array is placed above those of the pass. Nobody writes to it, so it takes addresses and hardly any
memory, and it is no larger than the largest array of the pass.

It changes no setting of the process. Whoever wants that, for arrays too large to be on the heap or for programs with
many threads, asks for it: `keep_freed_memory`. Where memory is managed in another way than glibc's, the spare array is
of no use, and does no harm.

Not all arrays are on the heap. Until one of its size has been freed for the first time, glibc maps a large array for
itself, far above the heap; and a thread that is not the main one has a heap of its own. Those are passed over.
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
_MAPPED = 32 << 20  # bytes: arrays from this size on are no part of the heap (M_MMAP_THRESHOLD in mallopt(3))
_SMALL = 1 << 10  # bytes: smaller arrays NumPy keeps by itself
_SEARCHED = 4  # times what the pass took: so much is filled at the most to find a place above it, gaps come first
_ROOM = 4  # arrays between those of the pass and the spare one, at first: what ops take for a moment goes there ...
_MOST_ROOM = 64  # ... and at the most, where the system still hands out pages anew
_PAGE = 4 << 10  # bytes: a page of memory
_PART = 16  # of a pass: if more of it than this part of it comes anew from the system, there is too little room
_PAUSE = 32  # passes at the most between two looks, though none took more: arrays do not always lie alike
_LONG_PAUSE = 1024  # the same where no place is found: memory may be managed in another way


class _Spare:
    """The spare array, and when to look after it."""

    array: np.ndarray | None = None
    room = _ROOM  # arrays between those of a pass and the spare one
    most = 0  # bytes that a pass took, at the most so far
    passes = 0
    pause = 1  # passes between the last look and the next
    next = 0  # the pass of the next look
    faults = 0  # page faults of the process until the last look


_spare = _Spare()


def keep_heap(took: int, arrays: Iterable[Any]) -> None:
    """See that the spare array lies above those of a pass. Look at the first passes, then less and less often.

    Args:
        took: how many bytes the pass took, roughly. One that takes more than any before is always looked at.
        arrays: some of its arrays, all of them still alive.
    """
    _spare.passes += 1
    if _spare.passes < _spare.next and took <= _spare.most:
        return
    _spare.most = max(took, _spare.most)
    _spare.pause = _pause_after(took, arrays)
    _spare.next = _spare.passes + _spare.pause


def _pause_after(took: int, arrays: Iterable[Any]) -> int:
    """Place the spare array if it does not lie above some others. Say how many passes may go by until the next look."""
    end, faulted = _heap_end(), _is_faulting(took)
    some = [a for a in arrays if isinstance(a, np.ndarray) and _SMALL < a.nbytes < _MAPPED and _address(a) < end]
    last = max(map(_address, some), default=0)
    if some and _spare.array is not None and _address(_spare.array) > last:
        if not faulted or _spare.room == _MOST_ROOM:
            return min(2 * _spare.pause, _PAUSE)
        _spare.room *= 2  # what ops take for a moment lies above it
    largest = max((a.nbytes for a in some), default=0)
    if some and _place(largest, last + _spare.room * largest, _SEARCHED * took + _MAPPED):
        return 1
    return min(2 * _spare.pause, _LONG_PAUSE)


def _is_faulting(took: int) -> bool:
    """Whether a good part of what passes took was handed out anew by the system since the last look."""
    before, _spare.faults = _spare.faults, _page_faults()
    return _spare.faults - before > _spare.pause * took / _PAGE / _PART


def _place(size: int, above: int, most: int) -> bool:
    """Whether a spare array of some bytes was placed on the heap above an address, by filling so many bytes at most."""
    tried: list[np.ndarray] = []
    while len(tried) * size < most:
        tried += [np.empty(size, np.uint8) for _ in range(_ROOM)]  # several: a gap may take one
        if above < _address(tried[-1]) < _heap_end():
            _spare.array = tried[-1]
            return True
    return False


def _sbrk() -> Callable[[int], int | None]:
    """The C library's `sbrk`, which tells where the heap ends; 0 where there is none."""
    try:
        sbrk = ctypes.CDLL(None).sbrk
    except (AttributeError, OSError, TypeError):  # another C library: no such function, or none to be found by name
        return lambda _: 0
    sbrk.argtypes, sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
    return sbrk


_end_of_heap = _sbrk()


def _page_faults() -> int:
    """How many page faults the process has had; 0 where the system does not tell."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0


def _heap_end() -> int:
    return _end_of_heap(0) or 0


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def release_memory() -> None:
    """Let go of the spare array: the heap may be cut back to what is in use."""
    _spare.array, _spare.most, _spare.pause, _spare.next, _spare.room = None, 0, 1, 0, _ROOM


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
