"""Draws numbers, and values and other items that a session has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.ops import REAL, Domain
from reference.ops.source import Source, Unsuited, chance, pick

T = TypeVar("T")
Shape = tuple[int, ...]

LARGEST = 32.0  # the largest number in a session, so that it can be followed by hand


def numbers(source: Source, shape: Shape, dtype: str = "float64", domain: Domain = REAL) -> np.ndarray:
    """Draw an array of short numbers."""
    entries = [pick(source, domain.numbers) for _ in range(int(np.prod(shape)))]
    return np.array(entries).astype(dtype).reshape(shape)


def latest_first(items: Iterable[T]) -> list[T]:
    """Return the items, the latest first.

    Raises:
        Unsuited: there are none.
    """
    latest = list(items)[::-1]
    if not latest:
        raise Unsuited
    return latest


def pick_some(source: Source, items: Sequence[T], most: int) -> list[T]:
    """Pick `most` of the items, in any order; all if there are fewer."""
    rest = list(items)
    return [rest.pop(source.integer(0, len(rest) - 1)) for _ in range(min(most, len(items)))]


def require_small(x: np.ndarray) -> None:
    """Raise Unsuited if one of the numbers is not small."""
    if not (np.abs(x) <= LARGEST).all():
        raise Unsuited


def usable(session: Session) -> list[Pair]:
    """Return the values that an op may be applied to, the latest first."""
    return latest_first(p for p in session.pairs.values() if not (p.stale or p.spent))


def pick_usable(session: Session, source: Source, domain: Domain = REAL) -> Pair:
    """Pick a usable value in a domain. Most often it requires a gradient, since other values reveal few bugs."""
    pairs = latest_first(p for p in usable(session)[::-1] if domain.holds(p.numbers))
    wanting = [p for p in pairs if p.requires_grad]
    return pick(source, wanting if wanting and not chance(source, 20) else pairs)


def leaves(session: Session) -> list[Pair]:
    """Return the leaves that require a gradient, the latest first."""
    return latest_first(p for p in session.pairs.values() if p.is_leaf)


def roots(session: Session) -> list[Pair]:
    """Return the values from which a backward pass may start, the latest first."""
    return latest_first(p for p in session.pairs.values() if p.requires_grad and not p.spent)
