"""Choices from a seed are repeatable, within their range and evenly distributed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.ops.source import Seeded, Source, chance, pick, picks, shuffled


class Prepared(Source):
    """Prepared choices, with a record of the ranges that were asked for."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.ranges: list[tuple[int, int]] = []

    def integer(self, low: int, high: int) -> int:
        """Give the next prepared number."""
        self.ranges.append((low, high))
        number = self.numbers.pop(0)
        assert low <= number <= high
        return number


RANGES = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 1000)).map(lambda r: (r[0], r[0] + r[1])))


def chosen(seed: Sequence[object], ranges: Sequence[tuple[int, int]]) -> list[int]:
    """The choices of a seed in these ranges."""
    source = Seeded(*seed)
    return [source.integer(low, high) for low, high in ranges]


@given(st.lists(st.integers() | st.text(), max_size=3), RANGES)
def test_a_seed_always_chooses_the_same(seed: list[object], ranges: list[tuple[int, int]]) -> None:
    """The same seed gives the same numbers, whatever other seeds are used in between."""
    first = chosen(seed, ranges)
    chosen([*seed, "another"], ranges)
    assert chosen(seed, ranges) == first


@given(st.integers(), RANGES)
def test_numbers_lie_in_the_range(seed: int, ranges: list[tuple[int, int]]) -> None:
    """Each number lies in its range, ends included."""
    assert all(low <= number <= high for number, (low, high) in zip(chosen([seed], ranges), ranges, strict=True))


@given(st.integers(), RANGES)
def test_numbers_are_those_of_randint(seed: int, ranges: list[tuple[int, int]]) -> None:
    """The numbers are those of Python's own generator, seeded with the text of the seed."""
    pythons = random.Random(str(seed))  # noqa: S311
    assert chosen([seed], ranges) == [pythons.randint(low, high) for low, high in ranges]


@given(st.integers(), st.integers(-1000, 1000), st.integers(0, 1000), st.integers(0, 20))
def test_integers_are_the_same_as_by_repeated_calls(seed: int, low: int, span: int, count: int) -> None:
    """`integers` gives the numbers that calls of `integer` give, and leaves the source in the same state."""
    at_once, by_one = Seeded(seed), Seeded(seed)
    ranges = [(low, low + span)] * count
    assert at_once.integers(low, low + span, count) == [by_one.integer(*ends) for ends in ranges]
    assert at_once.integer(0, 10**6) == by_one.integer(0, 10**6)


def test_an_empty_range_is_refused() -> None:
    """A choice from an empty range raises ValueError with the range."""
    source = Seeded(0)
    with pytest.raises(ValueError, match="the range from 0 to -1 is empty"):
        pick(source, [])
    with pytest.raises(ValueError, match="the range from 0 to -1 is empty"):
        picks(source, [], 1)
    assert not picks(source, [], 0)


def test_both_ends_are_reached() -> None:
    """Each of ten numbers comes up about a tenth of the time: more than 400 and fewer than 600 times of 5,000."""
    source = Seeded("ends")
    counts = Counter(source.integer(-4, 5) for _ in range(5_000))
    assert sorted(counts) == list(range(-4, 6))
    assert all(400 < count < 600 for count in counts.values())


def test_seeds_differ() -> None:
    """Neighbouring seeds, and seeds that differ in a single part, make different choices."""
    seeds = [(seed, op, i) for seed in (0, 1, 11) for op in ("sum", "max") for i in (0, 1, 11)]
    assert len({tuple(chosen(seed, [(0, 10**6)] * 3)) for seed in seeds}) == len(seeds)


def test_a_seed_means_the_same_everywhere() -> None:
    """A seed gives these recorded numbers, so that a program reported by its seed can be reproduced anywhere."""
    assert chosen([0, "tanh", 3], [(0, 99)] * 8) == [84, 62, 85, 90, 85, 80, 94, 73]


def test_pick_reaches_each_option_and_0_is_the_first() -> None:
    """`pick` uses its choice as an index, and asks for a range of valid indices."""
    source = Prepared(0, 1, 2)
    assert [pick(source, "abc") for _ in range(3)] == ["a", "b", "c"]
    assert source.ranges == [(0, 2)] * 3


@pytest.mark.parametrize("percent", [0, 1, 15, 50, 99, 100])
def test_chance_says_yes_as_often_as_it_is_told(percent: int) -> None:
    """Exactly `percent` of a hundred choices mean True, and they are the last: False is the simplest."""
    answers = [chance(Prepared(choice), percent) for choice in range(100)]
    assert answers == [False] * (100 - percent) + [True] * percent


def test_shuffled_reaches_each_order_once() -> None:
    """Each sequence of choices gives a different order, and zeros leave the order unchanged."""
    choices = itertools.product(range(4), range(3), range(2), range(1))
    orders = [tuple(shuffled(Prepared(*numbers), "abcd")) for numbers in choices]
    assert orders[0] == tuple("abcd")
    assert sorted(orders) == sorted(itertools.permutations("abcd"))


def test_shuffled_does_not_change_its_argument() -> None:
    """The items stay in the sequence that is passed in."""
    items = [1, 2, 3]
    shuffled(Seeded(0), items)
    assert items == [1, 2, 3]


# Names.

NAMES = tuple(f"op{i}" for i in range(60))


def chosen_names(names: tuple[str, ...], seed: int) -> list[str]:
    """The names that a seed chooses in two hundred choices."""
    source = Seeded("among", seed)
    return [next(source.among(names)) for _ in range(200)]


def test_names_are_chosen_equally_often() -> None:
    """Each of 60 names is chosen some 200 times in 12,000 choices."""
    counts = Counter(name for seed in range(60) for name in chosen_names(NAMES, seed))
    assert counts.keys() == set(NAMES)
    assert 140 < min(counts.values()) <= max(counts.values()) < 260


def test_a_new_name_changes_only_the_choices_that_it_wins() -> None:
    """All other choices stay the same, wherever the new name stands among the names."""
    for names in ((*NAMES, "new"), ("new", *NAMES), (*NAMES[::-1], "new")):
        for seed in range(5):
            before, after = chosen_names(NAMES, seed), chosen_names(names, seed)
            assert all(b in (a, "new") for a, b in zip(before, after, strict=True))
            assert 0 < after.count("new") < 20


def test_candidates_come_once_each_and_have_choices_of_their_own() -> None:
    """Without the first candidate, the second is first; a branch does not depend on candidates that were tried."""
    source, other = Seeded(3), Seeded(3)
    first, second, *rest = source.among(NAMES)
    assert next(other.among(tuple(n for n in NAMES if n != first))) == second
    assert sorted([first, second, *rest]) == sorted(NAMES)
    assert source.branch(second).integers(0, 9, 8) == other.branch(second).integers(0, 9, 8)
    assert source.branch(second).integers(0, 9, 8) != source.branch(first).integers(0, 9, 8)
