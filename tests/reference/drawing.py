"""Programs drawn from seeds, for tests that ask what a generator's programs are like, or that want many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from reference.ops import OPS
from reference.ops.options import Options
from reference.ops.shapes import Shape, any_shape
from reference.ops.source import Seeded, Source, Unsuited, pick
from reference.programs import Program
from reference.programs.generator import draw_program

EXPRESSIONS = "expressions"  # where an op's name stands for programs of any ops


@cache
def drawn(seed: str, op: str, number: int) -> Program | None:
    """Draw program `number` of a seed with `op` in it, or of any ops; None where nothing came of the choices."""
    try:
        return draw_program(Seeded(seed, op, number), None if op == EXPRESSIONS else op)
    except Unsuited:
        return None


def sample(op: str, number: int) -> tuple[Program, ...]:
    """Draw the first programs for an op, the same in each run. Those that came to nothing are left out."""
    return tuple(program for i in range(number) if (program := drawn("sample", op, i)))


def first(op: str, number: int, holds: Callable[[Program], Any], within: int = 500) -> list[Program]:
    """Draw programs for an op until so many are found for which something holds; fewer, if there are fewer."""
    drawn_in_turn = (drawn("sample", op, i) for i in range(within))
    return list(islice((program for program in drawn_in_turn if program and holds(program)), number))


@cache
def everything() -> tuple[Program, ...]:
    """Draw some four thousand programs: sixty for each op, and a thousand of any ops."""
    focused = [program for op in OPS for program in sample(op, 60)]
    return (*focused, *sample(EXPRESSIONS, 1_000))


def as_measured(found: int, of: int, percent: float) -> bool:
    """Whether a share is what was measured of many more: three quarters of it to four thirds.

    So much may change before a promise, and the figure that says how often it is kept, are looked at again: a figure
    that is out of date fails, too. Three standard deviations more are for chance, for whatever changes in a generator,
    all that it draws is drawn anew. What was measured is met once at least.
    """
    least, most = of * percent / 100 * 3 / 4, of * percent / 100 * 4 / 3
    return max(1.0, least - 3 * math.sqrt(least)) <= found <= most + 3 * math.sqrt(most)


Operands = tuple[list[np.ndarray], Options]


def ordinary(op: str, dtype: str, number: int) -> Iterator[Operands]:
    """Draw operands of ordinary numbers for an op, and options, as its row has them."""
    row = OPS[op]
    for i in range(number):
        source = Seeded("ordinary", op, i)
        try:
            shapes, options = row.inputs.draw(source, any_shape(source), 0)
        except Unsuited:
            continue
        yield [numbers(source, row.domain(j).numbers, shape, dtype) for j, shape in enumerate(shapes)], options


def numbers(source: Source, some: Sequence[float], shape: Shape, dtype: str = "float64") -> np.ndarray:
    """Draw an array of some numbers."""
    return np.array([pick(source, some) for _ in range(math.prod(shape))], dtype).reshape(shape)
