"""The statistics of measurements."""

from __future__ import annotations

from benchmarks.cells import Cell, Ratio, Result, ratio


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Ratios are taken round by round, so a round in which all peers were slow has no influence."""
    base = [1.0, 2.0, 100.0, 1.0, 4.0]
    assert ratio([3.0, 4.0, 250.0, 5.0, 16.0], base) == Ratio(3.0, 2.5, 4.0)


def test_a_ratio_needs_both() -> None:
    """If a peer or ndgrad was not measured, there is no ratio."""
    result = Result(
        "bias", 1, [Cell("ndgrad", [2.0], [0.0]), Cell("torch", [3.0], [0.0]), Cell("jax", reason="absent")]
    )
    assert result.ratio("torch") == Ratio(1.5, 1.5, 1.5)
    assert result.ratio("jax") is None
    assert result.ratio("mygrad") is None
    assert result.ratio("torch", base="jax") is None


def test_a_time_is_the_median_over_the_rounds() -> None:
    """A single slow round does not change the time of a cell."""
    assert Cell("ndgrad", [3.0, 1.0, 900.0]).seconds == 3.0
