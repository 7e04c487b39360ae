"""Where a generator's choices come from: whole numbers, and nothing else.

One generator serves a bulk run, which takes its numbers from a seed, and Hypothesis, which draws them itself and can so
shrink what was made of them. The first of several things is always the simplest: that is where shrinking ends.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Unsuited(Exception):  # noqa: N818 - an answer, not an error
    """What was asked for cannot be drawn for these shapes; ask for something else."""


class Source(Protocol):
    """Whatever gives whole numbers in a range."""

    def integer(self, low: int, high: int) -> int:
        """Give a number from `low` to `high`, both included."""
        ...


class Seeded:
    """Choices from a seed. The same seed gives the same choices, on any machine and in any order of runs."""

    def __init__(self, *seed: object) -> None:
        self._bits = random.Random(":".join(map(str, seed))).getrandbits  # noqa: S311 - to be repeated, not to be secret
        self.choices: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """Give a number from `low` to `high`, both included, and note it for a replay."""
        count = high - low + 1  # from here on as `randint` does, in half its time: a program takes some 200 choices
        if count < 1:
            raise ValueError(f"no whole number lies from {low} to {high}")
        bits = count.bit_length()
        number = self._bits(bits)
        while number >= count:
            number = self._bits(bits)
        number += low
        self.choices.append(number)
        return number


def pick(source: Source, options: Sequence[T]) -> T:
    """Choose one, the first being the simplest."""
    return options[source.integer(0, len(options) - 1)]


def chance(source: Source, percent: int) -> bool:
    """Say yes this often; no is the simplest."""
    return source.integer(0, 99) >= 100 - percent


def shuffled(source: Source, items: Sequence[T]) -> list[T]:
    """Give the items in any order."""
    rest = list(items)
    return [rest.pop(source.integer(0, len(rest) - 1)) for _ in items]
