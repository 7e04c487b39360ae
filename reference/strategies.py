"""Hypothesis draws programs: it makes the generator's choices, and can so shrink what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import reject
from hypothesis import strategies as st

from reference.generator import draw_program
from reference.program import Program
from reference.source import Unsuited


class _Drawn:
    """Choices that Hypothesis makes, by way of a `Random` of its own: in half the time of a strategy for each."""

    def __init__(self, random: Random) -> None:
        self.integer = random.randint


_RANDOM = st.randoms(use_true_random=False)


@st.composite
def programs(
    draw: Callable[[st.SearchStrategy[Random]], Random], focus: str | None = None, ops: Sequence[str] | None = None
) -> Program:
    """Draw programs.

    Args:
        draw: Hypothesis's own.
        focus: an op that stands in each.
        ops: what the other steps are made of; the whole catalogue by default.
    """
    try:
        return draw_program(_Drawn(draw(_RANDOM)), focus, ops)
    except Unsuited:
        reject()
