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

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Give so many numbers of one range, as by so many calls of `integer`."""
        return [self.integer(low, high) for _ in range(count)]


class Seeded(Source):
    """Choices from a seed. The same seed gives the same choices, on any machine and in any order of runs."""

    def __init__(self, *seed: object) -> None:
        self._bits = random.Random(":".join(map(str, seed))).getrandbits  # noqa: S311 - to be repeated, not to be secret

    def integer(self, low: int, high: int) -> int:
        """Give a number from `low` to `high`, both included."""
        count = high - low + 1  # from here on as `randint` does, in half its time: a program takes some 200 choices
        if count < 1:
            raise ValueError(f"no whole number lies from {low} to {high}")
        bits = count.bit_length()
        number = self._bits(bits)
        while number >= count:
            number = self._bits(bits)
        return number + low

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Give so many numbers of one range, the same as by so many calls of `integer`."""
        span = high - low + 1
        if span < 1:
            return super().integers(low, high, count)
        random_bits, bits = self._bits, span.bit_length()
        numbers: list[int] = []
        while len(numbers) < count:
            number = random_bits(bits)
            if number < span:
                numbers.append(number + low)
        return numbers


def pick(source: Source, options: Sequence[T]) -> T:
    """Choose one, the first being the simplest."""
    return options[source.integer(0, len(options) - 1)]


def picks(source: Source, options: Sequence[T], count: int) -> list[T]:
    """Choose one so many times, each time anew."""
    return [options[i] for i in source.integers(0, len(options) - 1, count)]


def chance(source: Source, percent: int) -> bool:
    """Say yes this often; no is the simplest."""
    return source.integer(0, 99) >= 100 - percent


def shuffled(source: Source, items: Sequence[T]) -> list[T]:
    """Give the items in any order."""
    rest = list(items)
    return [rest.pop(source.integer(0, len(rest) - 1)) for _ in items]
