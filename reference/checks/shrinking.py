"""Shrinks a case that fails, of whatever kind: it asks the case for smaller ones, and whether each still fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reference.checks.case import Case

C = TypeVar("C", bound=Case)

TRIES = 600  # of smaller cases, some milliseconds each


def shrink(case: C, fails: Callable[[C], bool]) -> C:
    """Give the smallest case found that still fails: with each that does, begin anew."""
    tries, looking = TRIES, True
    while looking:
        looking = False
        for candidate in case.smaller():
            if candidate.size >= case.size:
                continue
            tries -= 1
            if tries < 0:
                return case.shrunk()
            if fails(candidate):
                case, looking = candidate, True
                break
    return case.shrunk()
