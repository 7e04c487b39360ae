"""Shrinks a case that fails, of whatever kind: it asks the case for smaller ones, and whether each still fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reference.checks.case import Case

C = TypeVar("C", bound=Case)

TRIES = 600  # of smaller cases, some milliseconds each


def shrink(case: C, fails: Callable[[C], bool]) -> C:
    """Give the smallest case found that still fails.

    With each that does, its own smaller cases are tried from the same place on, for those before it have just been
    tried; and all of them once more at the end.
    """
    tries, start = TRIES, 0
    while True:
        for place, candidate in enumerate(case.smaller()):
            if place < start or candidate.size >= case.size:
                continue
            tries -= 1
            if tries < 0:
                return case.shrunk()
            if fails(candidate):
                case, start = candidate, place
                break
        else:
            if not start:
                return case.shrunk()
            start = 0
