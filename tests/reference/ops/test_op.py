"""Domains of operands: their numbers, edges and limits."""

from __future__ import annotations

import numpy as np
import pytest

from reference.ops import ABOVE_M1, NONZERO, OPS, POSITIVE, POWERS, REAL, Domain

DOMAINS = [REAL, NONZERO, POSITIVE, ABOVE_M1, POWERS]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_ordinary_numbers_lie_in_their_domain(domain: Domain) -> None:
    """A domain's numbers are distinct, short enough to recompute by hand, and exact in both dtypes."""
    numbers = np.array(domain.numbers)
    assert domain.holds(numbers)
    assert domain.holds(numbers.reshape(1, -1).astype(np.float32))
    assert np.unique(numbers).size == numbers.size >= 8
    assert max(len(repr(x)) for x in domain.numbers) <= 6
    assert (numbers.astype(np.float32) == numbers).all()


def test_numbers_of_both_signs_are_ordinary() -> None:
    """A domain that allows both signs has numbers of both: positive numbers alone would hide half of the bugs."""
    for domain in (REAL, NONZERO, POWERS, ABOVE_M1):
        assert min(domain.numbers) < 0 < max(domain.numbers)


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (REAL, [0.0, -1e300], [np.nan]),
        (NONZERO, [-1e-12, 5.0], [0.0, -0.0, np.nan]),
        (POSITIVE, [1e-300], [0.0, -0.0, -1.0, np.nan]),
        (ABOVE_M1, [-0.999, 0.0], [-1.0, -2.0, np.nan]),
    ],
    ids=lambda case: case.name if isinstance(case, Domain) else "",
)
def test_a_domain_holds_an_array_whose_numbers_all_lie_inside(
    domain: Domain, inside: list[float], outside: list[float]
) -> None:
    """One number outside is enough to be rejected; an empty array is always inside."""
    assert domain.holds(np.array(inside))
    assert domain.holds(np.zeros((0, 2)))
    for number in outside:
        assert not domain.holds(np.array([*inside, number]))


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_edges_are_those_of_the_domain(domain: Domain) -> None:
    """Edges include zeros of both signs, tiny and large numbers, and the domain's end; exponents have 0 and 1."""
    edges = np.array(domain.edges)
    assert {0.0, 1.0, 2.0, -1.0} <= set(domain.edges)
    assert np.signbit(edges[edges == 0]).tolist() == ([False] if domain is POWERS else [False, True])
    assert domain is POWERS or {1e-12, -1e-12, 1000.0, -1000.0} <= set(domain.edges)
    assert not np.isfinite(domain.least) or domain.least in domain.edges


def test_each_operand_has_a_domain() -> None:
    """A row's last domain holds for all further operands."""
    divide, clip = OPS["divide"], OPS["clip"]
    assert [divide.domain(i) for i in range(2)] == [REAL, NONZERO]
    assert [clip.domain(i) for i in range(3)] == [REAL] * 3
