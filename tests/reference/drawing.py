"""Programs drawn from seeds, for tests of the generator and for tests that need many programs."""

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

EXPRESSIONS = "expressions"  # in place of an op's name: programs of any ops


@cache
def draw(seed: str, op: str, number: int) -> Program | None:
    """Draw program `number` of a seed with `op` in it, or of any ops. None if the choices give no program."""
    try:
        return draw_program(Seeded(seed, op, number), None if op == EXPRESSIONS else op)
    except Unsuited:
        return None


def sample(op: str, number: int) -> tuple[Program, ...]:
    """Draw the first programs for an op, the same in each run. Choices that give no program are left out."""
    return tuple(program for i in range(number) if (program := draw("sample", op, i)))


def first(op: str, number: int, holds: Callable[[Program], Any], within: int = 500) -> list[Program]:
    """Draw programs for an op until `number` are found for which `holds` is true; fewer, if there are fewer."""
    candidates = (draw("sample", op, i) for i in range(within))
    return list(islice((program for program in candidates if program and holds(program)), number))


@cache
def all_programs() -> tuple[Program, ...]:
    """Draw some four thousand programs: sixty for each op, and a thousand of any ops."""
    focused = [program for op in OPS for program in sample(op, 60)]
    return (*focused, *sample(EXPRESSIONS, 1_000))


def as_measured(found: int, of: int, percent: float) -> bool:
    """Whether a share lies between three quarters and four thirds of the share measured on many more programs.

    A larger change, in either direction, means that the generator or the measured figure must be looked at. Three
    standard deviations are added for chance, since any change of the generator changes all its programs. At least one
    program must be found.
    """
    least, most = of * percent / 100 * 3 / 4, of * percent / 100 * 4 / 3
    return max(1.0, least - 3 * math.sqrt(least)) <= found <= most + 3 * math.sqrt(most)


Operands = tuple[list[np.ndarray], Options]


def ordinary(op: str, dtype: str, number: int) -> Iterator[Operands]:
    """Draw operands of ordinary numbers and options for an op, as its row describes them."""
    row = OPS[op]
    for i in range(number):
        source = Seeded("ordinary", op, i)
        try:
            shapes, options = row.inputs.draw(source, any_shape(source), 0)
        except Unsuited:
            continue
        yield [numbers(source, row.domain(j).numbers, shape, dtype) for j, shape in enumerate(shapes)], options


def numbers(source: Source, some: Sequence[float], shape: Shape, dtype: str = "float64") -> np.ndarray:
    """Draw an array whose numbers are among `some`."""
    return np.array([pick(source, some) for _ in range(math.prod(shape))], dtype).reshape(shape)
