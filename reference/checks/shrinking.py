"""Shrinks a failing case of any kind: the case proposes smaller ones, and each is run to see if it still fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reference.checks.case import Case

C = TypeVar("C", bound=Case)

TRIES = 600  # smaller cases that are tried, at some milliseconds each


def shrink(case: C, fails: Callable[[C], bool]) -> C:
    """Return the smallest case found that still fails.

    When a smaller case fails, shrinking goes on with that case's own smaller cases. It starts from the same place in
    their list, since those before it have just been tried on the larger case. At the end the whole list is tried once
    more.
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
