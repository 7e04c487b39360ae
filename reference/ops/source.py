"""Where a generator's choices come from: whole numbers, and names.

One generator serves a bulk run, which takes its numbers from a seed, and Hypothesis, which draws them itself and can so
shrink what was made of them. The first of several things is always the simplest: that is where shrinking ends.

Ops are chosen by name. From a seed, each name draws a lot of its own, and the lowest wins: so a name that is new
changes the choices that it wins, and no others.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")
Script: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]  # blocks of choices, each with a name


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

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give names one after the other, as candidates for one choice: whoever cannot use one takes the next."""
        while True:
            yield names[self.integer(0, len(names) - 1)]

    def branch(self, name: str) -> Source:
        """Where the choices come from that a candidate needs: for each the same, whoever was tried before it."""
        del name
        return self

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:
        """Repeat something from `low` to `high` times. The choices made in each turn are a block of that name."""
        del name
        yield from (None for _ in range(self.integer(low, high)))


class Seeded(Source):
    """Choices from a seed. The same seed gives the same choices, on any machine and in any order of runs."""

    def __init__(self, *seed: object) -> None:
        self._seed = ":".join(map(str, seed))
        self._bits = random.Random(self._seed).getrandbits  # noqa: S311 - to be repeated, not to be secret
        self._lot = 0

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

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give the names by their lots, the lowest first."""
        self._lot = self._bits(64)
        order = np.argsort(_mixed(_keys(names) ^ np.uint64(self._lot)), kind="stable")
        return (names[i] for i in order)

    def branch(self, name: str) -> Source:
        """Choices of the latest lots and a name."""
        return Seeded(self._seed, self._lot, name)


class Noting(Source):
    """Choices of another source, noted in blocks.

    Args:
        source: where they come from.
        name: of the first block.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._blocks: list[tuple[str, list[int]]] = [(name, [])]

    @property
    def script(self) -> Script:
        """The blocks so far."""
        return tuple((name, tuple(choices)) for name, choices in self._blocks)

    def integer(self, low: int, high: int) -> int:
        """Give the other source's number."""
        number = self._source.integer(low, high)
        self._blocks[-1][1].append(number - low)
        return number

    def among(self, names: tuple[str, ...]) -> Iterator[str]:
        """Give the other source's names, each noted by its place."""
        for name in self._source.among(names):
            self._blocks[-1][1].append(names.index(name))
            yield name

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:
        """Begin a block with each turn; how many there are tells how often it was."""
        for _ in self._source.blocks(name, low, high):
            self._blocks.append((name, []))
            yield


class Replaying(Source):
    """The choices of a script. Where one does not fit any more, the nearest that does; where it ends, the simplest.

    Args:
        script: its blocks. The first is what is replayed until the next begins.
    """

    def __init__(self, script: Script) -> None:
        (_, first), *self._left = script
        self._choices = iter(first)

    def integer(self, low: int, high: int) -> int:
        """Give the next number of the block."""
        return min(low + next(self._choices, 0), high)

    def blocks(self, name: str, low: int, high: int) -> Iterator[None]:  # noqa: ARG002 - a script says how often itself
        """Repeat as often as the script has blocks of this name here."""
        while self._left and self._left[0][0] == name:
            _, choices = self._left.pop(0)
            self._choices = iter(choices)
            yield


@lru_cache(maxsize=64)
def _keys(names: tuple[str, ...]) -> np.ndarray:
    """A number of 64 bits for each name."""
    digests = (blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(digest) for digest in digests], np.uint64)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Numbers of 64 bits, each of whose bits depends on all that were there: SplitMix64's end (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


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
