"""The cases for the checkers: the same for all, such as a careful user would write.

The checkers' documentation uses functions of normally distributed numbers, in arrays of moderate size, away from kinks.
Such cases are drawn here, more than anyone writes by hand: up to 72 for each row, with the shapes and options that the
row draws. They are written without knowledge of the faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import count, islice, product
from typing import Any

import numpy as np

from reference.engines.ndgrad import NdgradEngine
from reference.mutation.rivals.composed import composed
from reference.mutation.rivals.wrapper import Case
from reference.ops import OPS, Domain, Op
from reference.ops.options import Options
from reference.ops.shapes import Shape
from reference.ops.source import Seeded, Source, Unsuited
from reference.programs import LEAF, NUMBER, Operand, Program, text
from reference.programs.generator import draw_program

CASES_PER_SHAPE = 12
SCALES = (1e-3, 1e3, 1e6)
_ALIKE = 2  # cases of equal shapes and options; more would show nothing new
_SHAPES: tuple[Shape, ...] = ((3, 4), (3,), (2, 3, 4), (), (3, 1), (3, 3))
_TRIES = 120  # draws of a row: enough to tell its frequent choices from its rare ones
_MARGIN = 0.1  # the distance from a domain's end, which no example in the checkers' documentation touches
_MOVE = 0.01  # less than the spacing of drawn numbers, an eighth, and more than any checker's step
_FUNCTIONS = NdgradEngine().functions


# For faults of single ops.


@cache
def of_row(op: str) -> tuple[Case, ...]:
    """Return the cases for an op. They are tested on the right engine, so call this before a fault is planted."""
    return tuple(
        case
        for shape in _SHAPES
        for case in islice(filter(_is_regular, _common_first(_draw_cases(OPS[op], shape))), CASES_PER_SHAPE)
    )


def _common_first(cases: Iterable[Case]) -> list[Case]:
    """Return one case of each kind, the most frequent kinds first; then another one of each."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.name, []).append(case)
    ranked = sorted(kinds.values(), key=len, reverse=True)
    return [kind[n] for n in range(_ALIKE) for kind in ranked if n < len(kind)]


def _draw_cases(op: Op, shape: Shape) -> Iterator[Case]:
    """Draw cases with an operand of the given shape, in any of the op's slots."""
    for i in range(_TRIES):
        source, rng = Seeded("checkers", op.name, shape, i), np.random.default_rng(i)
        try:
            shapes, options = op.inputs.draw(source, shape, source.integer(0, op.inputs.slots - 1))
        except Unsuited:
            continue
        arrays = [_normal(rng, shape, op.domain(position)) for position, shape in enumerate(shapes)]
        yield from _distinct_and_shared(op, arrays, options)


def _distinct_and_shared(op: Op, arrays: Sequence[np.ndarray], options: Options) -> Iterator[Case]:
    """Yield the op on these operands, and on a single one in all places, as in x * x, if one lies in all domains."""

    def function(*values: Any) -> Any:
        return _FUNCTIONS[op.name](*values, **options)

    places = range(len(arrays))
    arguments = ", ".join([*(text(a.shape) for a in arrays), *(f"{k}={text(v)}" for k, v in options.items())])
    yield Case(f"{op.name}({arguments})", function, tuple(arrays))
    fitting = [x for x in arrays if all(op.domain(i).holds(x) for i in places)]
    if len(arrays) > 1 and len({a.shape for a in arrays}) == 1 and fitting:
        yield Case(f"{op.name}({arguments}), with itself", lambda v: function(*(v for _ in places)), (fitting[0],))


def _normal(rng: np.random.Generator, shape: Shape, domain: Domain) -> np.ndarray:
    """Draw normally distributed numbers, moved into the domain if it has an end."""
    x = np.asarray(rng.standard_normal(shape))
    if np.isfinite(domain.least):
        return domain.least + _MARGIN + np.abs(x)
    return x + np.copysign(_MARGIN, x) if domain.nonzero else x


def _is_regular(case: Case) -> bool:
    """Whether the value and all derivatives are nonempty, finite and in the operands' precision."""
    ones = [np.ones_like(a) for a in case.arrays]
    with np.errstate(all="ignore"):
        y = case.value(*case.arrays)
        arrays = (y, *case.arrays, *case.second_pullback(ones, np.ones_like(y), *case.arrays))
    return all(a.size and a.dtype == case.arrays[0].dtype and np.isfinite(a).all() for a in arrays)


# For false alarms.


def ordinary() -> tuple[Case, ...]:
    """Return the cases that the checkers run against faults."""
    rows = (case for op in OPS for case in of_row(op))
    return tuple(filter(_is_fair, (*rows, *composed())))


def scaled() -> tuple[Case, ...]:
    """Return these cases with operands scaled, if the function is still defined and finite."""
    cases = (
        Case(f"{scale:g} × {case.name}", case.function, tuple(scale * a for a in case.arrays))
        for case, scale in product(ordinary(), SCALES)
    )
    return tuple(filter(_is_fair, cases))


def random_programs(number: int = 300) -> tuple[Case, ...]:
    """Draw programs of two to nine steps, as a campaign does, with ordinary numbers in one precision.

    The numbers are moved a little: as drawn, they have ties and lie at kinks, where no gradient should be checked
    according to the documentation.
    """
    ops = [op for op in OPS if op != "astype"]
    programs = (_draw_program(_Ordinary("checkers", i), ops) for i in count())
    cases = (_moved(_of_program(f"program {i}", p), i) for i, p in enumerate(programs) if p and not _ties(p))
    return tuple(islice(filter(_is_fair, cases), number))


def _ties(program: Program) -> bool:
    """Whether an op with kinks compares a value with itself, as in clip(x, y, y), which always is a kink."""
    return any(OPS[step.op].kink and len(set(step.inputs)) < len(step.inputs) for step in program.steps)


def _is_fair(case: Case) -> bool:
    """Whether a case is regular in both precisions, since each checker uses one of them."""
    return _is_regular(case) and _is_regular(case.in_single())


def _moved(case: Case, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    arrays = tuple(a.astype(np.float64) + _MOVE * rng.standard_normal(a.shape) for a in case.arrays)
    return Case(case.name, case.function, arrays)


class _Ordinary(Seeded):
    """Choices from a seed. The first is always the simplest one: it selects the ordinary manner of programs."""

    _started = False

    def integer(self, low: int, high: int) -> int:
        """Draw a number from `low` to `high`, both included."""
        highest = high if self._started else low
        self._started = True
        return super().integer(low, highest)


def _draw_program(source: Source, ops: Sequence[str] | None = None) -> Program | None:
    try:
        return draw_program(source, ops=ops)
    except Unsuited:
        return None


def _of_program(name: str, program: Program) -> Case:
    """Make a program a function of its leaves. Constants get the precision of the first leaf."""

    def function(*leaves: Any) -> Any:
        rest = iter(leaves)
        values = [next(rest) if o.kind == LEAF else _constant_operand(o, leaves[0].dtype) for o in program.operands]
        for step in program.steps:
            values.append(_FUNCTIONS[step.op](*(values[i] for i in step.inputs), **step.options))
        return values[-1]

    return Case(name, function, tuple(o.array for o in program.leaves))


def _constant_operand(operand: Operand, dtype: np.dtype[Any]) -> Any:
    if operand.kind == NUMBER or operand.data.dtype.kind != "f":
        return operand.array
    return operand.data.astype(dtype)


# For faults that no checker could see.


@cache
def probes(number: int = 400) -> tuple[Case, ...]:
    """Return cases that may show whether a fault changes a function: composed functions and drawn programs."""
    programs = (_draw_program(Seeded("probes", i)) for i in range(number))
    return (*composed(), *(_of_program(f"probe {i}", p) for i, p in enumerate(programs) if p and p.leaves))
