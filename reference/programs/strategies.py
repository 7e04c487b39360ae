"""A Hypothesis strategy for programs. Hypothesis makes the generator's choices, and so can shrink programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import reject
from hypothesis import strategies as st

from reference.ops.source import Source, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program

_BLOCK = 64  # numbers per choice: a fixed count, so that an array keeps its numbers when its shape changes
_BYTE = 256


class _HypothesisSource(Source):
    """Choices that Hypothesis makes through its `Random`, which takes half the time of a strategy for each choice.

    Numbers of one range come as bytes, many per choice: every choice costs the same, and an array has many numbers.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def integer(self, low: int, high: int) -> int:
        """Let Hypothesis choose from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Let Hypothesis choose many integers at once. A smaller byte is a simpler number, so bytes shrink well.

        As with its own integers, 0 is the simplest, then the positive numbers, and then the negative ones.
        """
        span = high - low + 1
        if count < 2 or not 1 <= span <= _BYTE:  # noqa: PLR2004
            return super().integers(low, high, count)
        chosen = b"".join(self._random.randbytes(_BLOCK) for _ in range(0, count, _BLOCK))
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
        draw: passed by Hypothesis.
        focus: an op that each program contains.
        ops: the ops of the other steps; the whole table by default.
    """
    try:
        return draw_program(_HypothesisSource(draw(_RANDOM)), focus, ops)
    except Unsuited:
        reject()
