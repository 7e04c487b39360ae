"""Sources of a generator's choices: integers and names.

The same generator serves a campaign, which takes its integers from a seed, and Hypothesis, which chooses them itself
and so can shrink the result. The first of several choices is always the simplest: that is where shrinking ends.

Ops are chosen by name. With a seed, each name draws a lot of its own, and the lowest lot wins. So a new name changes
only those choices that it wins.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")
Script: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]  # blocks of choices, each with its name


class Unsuited(Exception):  # noqa: N818 - an answer, not an error
    """No draw fits the shapes; draw something else."""


class Source(Protocol):
    """A source of integers in a range."""

    def integer(self, low: int, high: int) -> int:
        """Give an integer from `low` to `high`, both included."""
        ...

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Give `count` integers of one range, as `count` calls of `integer` do."""
        return [self.integer(low, high) for _ in range(count)]

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give names one after the other, as candidates for one choice: a caller that cannot use one takes the next."""
        while True:
            yield names[self.integer(0, len(names) - 1)]

    def branch(self, name: str) -> Source:
        """Give a source for a candidate's own choices. They do not depend on candidates that were tried before."""
        del name
        return self

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:
        """Repeat something from `low` to `high` times. The choices of each turn are a block of that name."""
        del name
        yield from (None for _ in range(self.integer(low, high)))


class Seeded(Source):
    """Choices from a seed. The same seed gives the same choices, on any computer and in any order of runs."""

    def __init__(self, *seed: object) -> None:
        self._seed = ":".join(map(str, seed))
        self._random_bits = random.Random(self._seed).getrandbits  # noqa: S311 - repeatable, not secret
        self._lot = 0

    def integer(self, low: int, high: int) -> int:
        """Give an integer from `low` to `high`, both included."""
        count = high - low + 1  # the rest is `randint` in half its time: a program takes some 200 choices
        if count < 1:
            raise ValueError(f"the range from {low} to {high} is empty")
        width = count.bit_length()
        number = self._random_bits(width)
        while number >= count:
            number = self._random_bits(width)
        return number + low

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Give `count` integers of one range, the same as `count` calls of `integer` give."""
        span = high - low + 1
        if span < 1:
            return super().integers(low, high, count)
        random_bits, width = self._random_bits, span.bit_length()
        numbers: list[int] = []
        while len(numbers) < count:
            number = random_bits(width)
            if number < span:
                numbers.append(number + low)
        return numbers

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give the names in the order of their lots, the lowest first."""
        self._lot = self._random_bits(64)
        order = np.argsort(_mixed(_keys(names) ^ np.uint64(self._lot)), kind="stable")
        return (names[i] for i in order)

    def branch(self, name: str) -> Source:
        """Give a source seeded by the latest lots and a name."""
        return Seeded(self._seed, self._lot, name)


class Recording(Source):
    """Choices of another source, recorded in blocks.

    Args:
        source: the other source.
        name: the name of the first block.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._blocks: list[tuple[str, list[int]]] = [(name, [])]

    @property
    def script(self) -> Script:
        """The blocks so far."""
        return tuple((name, tuple(choices)) for name, choices in self._blocks)

    def integer(self, low: int, high: int) -> int:
        """Give the other source's integer."""
        number = self._source.integer(low, high)
        self._blocks[-1][1].append(number - low)
        return number

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give the other source's names, each recorded by its index."""
        for name in self._source.among(names):
            self._blocks[-1][1].append(names.index(name))
            yield name

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:
        """Begin a block with each turn, so that the blocks tell the number of turns."""
        for _ in self._source.blocks(name, low, high):
            self._blocks.append((name, []))
            yield


class Replaying(Source):
    """The choices of a script. A choice that no longer fits is limited to the range; after the end comes the simplest.

    Args:
        script: blocks of choices. The first is replayed until the next begins.
    """

    def __init__(self, script: Script) -> None:
        (_, first), *self._left = script
        self._choices = iter(first)

    def integer(self, low: int, high: int) -> int:
        """Give the next integer of the block."""
        return min(low + next(self._choices, 0), high)

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:  # noqa: ARG002 - the script tells how often
        """Repeat as often as the script has blocks of this name here."""
        while self._left and self._left[0][0] == name:
            _, choices = self._left.pop(0)
            self._choices = iter(choices)
            yield


@lru_cache(maxsize=64)
def _keys(names: tuple[str, ...]) -> np.ndarray:
    """A 64-bit hash of each name."""
    digests = (blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(digest) for digest in digests], np.uint64)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Mix 64-bit integers so that each bit depends on all: SplitMix64's finalizer (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def pick(source: Source, options: Sequence[T]) -> T:
    """Choose one option; the first is the simplest."""
    return options[source.integer(0, len(options) - 1)]


def picks(source: Source, options: Sequence[T], count: int) -> list[T]:
    """Choose an option `count` times, independently."""
    return [options[i] for i in source.integers(0, len(options) - 1, count)]


def chance(source: Source, percent: int) -> bool:
    """Return True with this probability; False is the simplest."""
    return source.integer(0, 99) >= 100 - percent


def shuffled(source: Source, items: Sequence[T]) -> list[T]:
    """Give the items in a random order."""
    rest = list(items)
    return [rest.pop(source.integer(0, len(rest) - 1)) for _ in items]
