"""Choices from a seed: the same for the same seed, everywhere, within their range, each as often as it should be."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.ops.source import Seeded, Source, chance, pick, picks, shuffled


class Given(Source):
    """Choices that were laid down beforehand, and the ranges that they were asked for in."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.ranges: list[tuple[int, int]] = []

    def integer(self, low: int, high: int) -> int:
        """Give the next of the numbers."""
        self.ranges.append((low, high))
        number = self.numbers.pop(0)
        assert low <= number <= high
        return number


RANGES = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 1000)).map(lambda r: (r[0], r[0] + r[1])))


def chosen(seed: Sequence[object], ranges: Sequence[tuple[int, int]]) -> list[int]:
    """What a seed chooses in these ranges."""
    source = Seeded(*seed)
    return [source.integer(low, high) for low, high in ranges]


@given(st.lists(st.integers() | st.text(), max_size=3), RANGES)
def test_a_seed_chooses_always_the_same(seed: list[object], ranges: list[tuple[int, int]]) -> None:
    """The same seed gives the same numbers, whatever other seeds were asked in between."""
    first = chosen(seed, ranges)
    chosen([*seed, "another"], ranges)
    assert chosen(seed, ranges) == first


@given(st.integers(), RANGES)
def test_numbers_lie_in_the_range(seed: int, ranges: list[tuple[int, int]]) -> None:
    """Each from its range, ends included."""
    assert all(low <= number <= high for number, (low, high) in zip(chosen([seed], ranges), ranges, strict=True))


@given(st.integers(), RANGES)
def test_numbers_are_those_of_randint(seed: int, ranges: list[tuple[int, int]]) -> None:
    """What is chosen is what Python's own generator gives for the seed's text."""
    pythons = random.Random(str(seed))  # noqa: S311
    assert chosen([seed], ranges) == [pythons.randint(low, high) for low, high in ranges]


@given(st.integers(), st.integers(-1000, 1000), st.integers(0, 1000), st.integers(0, 20))
def test_many_at_once_are_the_same_one_by_one(seed: int, low: int, span: int, count: int) -> None:
    """The numbers, and what comes after them."""
    at_once, by_one = Seeded(seed), Seeded(seed)
    ranges = [(low, low + span)] * count
    assert at_once.integers(low, low + span, count) == [by_one.integer(*ends) for ends in ranges]
    assert at_once.integer(0, 10**6) == by_one.integer(0, 10**6)


def test_an_empty_range_is_refused() -> None:
    """Nothing can be picked of nothing: the error says so."""
    source = Seeded(0)
    with pytest.raises(ValueError, match="no whole number lies from 0 to -1"):
        pick(source, [])
    with pytest.raises(ValueError, match="no whole number lies from 0 to -1"):
        picks(source, [], 1)
    assert not picks(source, [], 0)


def test_both_ends_are_reached() -> None:
    """Each of ten numbers comes up about a tenth of the time: of 5,000 more than 400 and fewer than 600."""
    source = Seeded("ends")
    counts = Counter(source.integer(-4, 5) for _ in range(5_000))
    assert sorted(counts) == list(range(-4, 6))
    assert all(400 < count < 600 for count in counts.values())


def test_seeds_differ() -> None:
    """Neighbouring seeds, and seeds whose parts differ in but one place, choose otherwise."""
    seeds = [(seed, op, i) for seed in (0, 1, 11) for op in ("sum", "max") for i in (0, 1, 11)]
    assert len({tuple(chosen(seed, [(0, 10**6)] * 3)) for seed in seeds}) == len(seeds)


def test_a_seed_means_the_same_everywhere() -> None:
    """These numbers were noted once: whoever reports a program by its seed is understood elsewhere, and later."""
    assert chosen([0, "tanh", 3], [(0, 99)] * 8) == [84, 62, 85, 90, 85, 80, 94, 73]


def test_pick_gives_each_and_the_first_for_0() -> None:
    """The choice is the place, and asks for no more places than there are."""
    source = Given(0, 1, 2)
    assert [pick(source, "abc") for _ in range(3)] == ["a", "b", "c"]
    assert source.ranges == [(0, 2)] * 3


@pytest.mark.parametrize("percent", [0, 1, 15, 50, 99, 100])
def test_chance_says_yes_as_often_as_it_is_told(percent: int) -> None:
    """Of all hundred choices exactly so many mean yes, and they are the last: no is the simplest."""
    answers = [chance(Given(choice), percent) for choice in range(100)]
    assert answers == [False] * (100 - percent) + [True] * percent


def test_shuffled_reaches_each_order_once() -> None:
    """Each row of choices gives another order of the items, and zeros leave them as they are."""
    choices = itertools.product(range(4), range(3), range(2), range(1))
    orders = [tuple(shuffled(Given(*numbers), "abcd")) for numbers in choices]
    assert orders[0] == tuple("abcd")
    assert sorted(orders) == sorted(itertools.permutations("abcd"))


def test_shuffled_leaves_what_it_is_given() -> None:
    """The items are not taken out of the sequence they came in."""
    items = [1, 2, 3]
    shuffled(Seeded(0), items)
    assert items == [1, 2, 3]


# Names.

NAMES = tuple(f"op{i}" for i in range(60))


def chosen_names(names: tuple[str, ...], seed: int) -> list[str]:
    """What a seed chooses in two hundred choices."""
    source = Seeded("among", seed)
    return [next(source.among(names)) for _ in range(200)]


def test_each_name_is_chosen_as_often() -> None:
    """Of 60 names each some 200 times in 12,000 choices."""
    counts = Counter(name for seed in range(60) for name in chosen_names(NAMES, seed))
    assert counts.keys() == set(NAMES)
    assert 140 < min(counts.values()) <= max(counts.values()) < 260


def test_a_new_name_changes_what_it_is_chosen_for() -> None:
    """All other choices stay, wherever it stands among the names."""
    for names in ((*NAMES, "new"), ("new", *NAMES), (*NAMES[::-1], "new")):
        for seed in range(5):
            before, after = chosen_names(NAMES, seed), chosen_names(names, seed)
            assert all(b in (a, "new") for a, b in zip(before, after, strict=True))
            assert 0 < after.count("new") < 20


def test_candidates_come_once_each_and_have_choices_of_their_own() -> None:
    """The second is who would have been first without the first; a branch gives the same whoever was tried before."""
    source, other = Seeded(3), Seeded(3)
    first, second, *rest = source.among(NAMES)
    assert next(other.among(tuple(n for n in NAMES if n != first))) == second
    assert sorted([first, second, *rest]) == sorted(NAMES)
    assert source.branch(second).integers(0, 9, 8) == other.branch(second).integers(0, 9, 8)
    assert source.branch(second).integers(0, 9, 8) != source.branch(first).integers(0, 9, 8)
