"""Hypothesis draws programs: it makes the generator's choices, and can so shrink what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import reject
from hypothesis import strategies as st

from reference.generator import draw_program
from reference.program import Program
from reference.source import Unsuited


class _Drawn:
    """Choices that Hypothesis makes."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        """Give a number from `low` to `high`, both included."""
        return self._draw(st.integers(low, high))


@st.composite
def programs(
    draw: Callable[[st.SearchStrategy[int]], int], focus: str | None = None, ops: Sequence[str] | None = None
) -> Program:
    """Draw programs.

    Args:
        draw: Hypothesis's own.
        focus: an op that stands in each.
        ops: what the other steps are made of; the whole catalogue by default.
    """
    try:
        return draw_program(_Drawn(draw), focus, ops)
    except Unsuited:
        reject()
