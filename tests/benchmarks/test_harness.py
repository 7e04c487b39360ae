"""What times the harness: it verifies what it times, chooses plain programs, and tells what it measured."""

from __future__ import annotations

from itertools import islice

import pytest

from benchmarks import harness
from reference.programs import parse

PARTS = {"draw", "engine", "reference", "verdict"}


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("x=f8([1.0,-2.0]); a=tanh(x); back(a,f8([1.0,0.5]))", True),
        ("x=f8([1.0,-2.0]); a=tanh(x); back(a,f8([1.0,0.5]),along=(f8([1.0,1.0]),))", False),
        ("x=f8([1.0,-2.0]); a=sum(x,axis=3)", False),
        ("x=f8([1.0,0.0]); a=tanh(x); back(a,f8([1.0,0.5]))", False),
        ("x=f8([1.0,1000.0]); a=tanh(x); back(a,f8([1.0,0.5]))", False),
        ("x=f8([1.0,nan]); a=tanh(x); back(a,f8([1.0,0.5]))", False),
    ],
    ids=["plain", "second order", "refused", "zero", "large", "nan"],
)
def test_plain_is_first_order_on_ordinary_numbers(line: str, *, plain: bool) -> None:
    """Edges, infinities, second derivatives and refusals are not plain."""
    assert harness.is_plain(parse(line)) is plain


def test_a_stream_is_verified_and_timed_in_parts() -> None:
    """All programs that are timed are judged, and the time of all parts makes the rate."""
    chosen = list(islice(harness.numbers(harness.is_plain), 30))
    stream = harness.in_bulk("plain", chosen)
    assert len(stream.verdicts) == 30
    assert not any(verdict.result.blames for verdict in stream.verdicts)
    assert set(stream.seconds) == PARTS
    assert stream.rate == pytest.approx(30 / sum(stream.seconds.values()))


def test_hypothesis_draws_a_stream_too() -> None:
    """As many programs as were asked for are drawn, or some fewer where nothing came of choices, and each is judged."""
    stream = harness.by_hypothesis(20)
    assert 10 <= len(stream.verdicts) <= 20
    assert not any(verdict.result.blames for verdict in stream.verdicts)
    assert (
        sum(verdict.numbers > 0 or verdict.refused for verdict in stream.verdicts) >= 10
    )  # others are of empty arrays


def test_a_line_says_whether_the_aim_is_reached() -> None:
    """The rate stands beside its aim, and the share of witnesses beside its limit."""
    slow = harness.Stream("plain", 8.0, dict.fromkeys(PARTS, 1.0), harness.in_bulk("some", range(5)).verdicts)
    cells = harness.row(slow)
    assert len(cells) == len(harness.HEAD)
    assert cells[4] == "2,000 not met"
    assert cells[-1] == "0.00% met"
