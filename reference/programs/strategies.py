"""Hypothesis draws programs: it makes the generator's choices, and can so shrink what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import reject
from hypothesis import strategies as st

from reference.ops.source import Source, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program

_AT_ONCE = 64  # numbers that are one choice: always as many, so that an array with other axes keeps its numbers
_BYTE = 256


class _Drawn(Source):
    """Choices that Hypothesis makes, by way of a `Random` of its own: in half the time of a strategy for each.

    Numbers of one range come as bytes, many in one choice: each costs as much as any, and an array has many.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def integer(self, low: int, high: int) -> int:
        """Let Hypothesis choose from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Let Hypothesis choose many at once: a smaller byte is a simpler number, and so shrinks.

        As of its own integers, 0 is the simplest of a range, then the positive ones, and then the negative.
        """
        span = high - low + 1
        if count < 2 or not 1 <= span <= _BYTE:  # noqa: PLR2004
            return super().integers(low, high, count)
        chosen = b"".join(self._random.randbytes(_AT_ONCE) for _ in range(0, count, _AT_ONCE))
        places = [byte * span // _BYTE for byte in chosen[:count]]
        if not low < 0 <= high:
            return [low + place for place in places]
        return [place if place <= high else high - place for place in places]


_RANDOM = st.randoms(use_true_random=False)


@st.composite
def programs(
    draw: Callable[[st.SearchStrategy[Random]], Random], focus: str | None = None, ops: Sequence[str] | None = None
) -> Program:
    """Draw programs.

    Args:
        draw: Hypothesis's own.
        focus: an op that stands in each.
        ops: what the other steps are made of; the whole table by default.
    """
    try:
        return draw_program(_Drawn(draw(_RANDOM)), focus, ops)
    except Unsuited:
        reject()
