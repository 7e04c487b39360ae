"""The benchmark of the harness: it verifies the programs that it times, selects plain ones, and reports its results."""

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
    """Programs with edges, infinities, second derivatives or refusals are not plain."""
    assert harness.is_plain(parse(line)) is plain


def test_a_stream_is_verified_and_timed_in_parts() -> None:
    """All timed programs are judged, and the rate is computed from the time of all parts."""
    chosen = list(islice(harness.numbers(harness.is_plain), 30))
    stream = harness.in_bulk("plain", chosen)
    assert len(stream.verdicts) == 30
    assert not any(verdict.result.blames for verdict in stream.verdicts)
    assert set(stream.seconds) == PARTS
    assert stream.rate == pytest.approx(30 / sum(stream.seconds.values()))


def test_hypothesis_draws_a_stream_too() -> None:
    """As many programs as requested are drawn, or fewer if some choices fail, and each is judged."""
    stream = harness.by_hypothesis(20)
    assert 10 <= len(stream.verdicts) <= 20
    assert not any(verdict.result.blames for verdict in stream.verdicts)
    assert (
        sum(verdict.numbers > 0 or verdict.refused for verdict in stream.verdicts) >= 10
    )  # others are of empty arrays


def test_a_line_says_whether_the_aim_is_reached() -> None:
    """The row shows whether the rate meets its aim, and whether the share of witnessed programs meets its limit."""
    slow = harness.Stream("plain", 8.0, dict.fromkeys(PARTS, 1.0), harness.in_bulk("some", range(5)).verdicts)
    cells = harness.row(slow)
    assert len(cells) == len(harness.HEAD)
    assert cells[4] == "2,000 not met"
    assert cells[-1] == "0.00% met"
