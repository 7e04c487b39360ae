"""Proposes smaller programs: fewer steps, then fewer operands, then fewer and simpler numbers.

Hypothesis would shrink the choices that a program was drawn from, in thousands of tries. Here the program itself is
shrunk, which takes hundreds of tries and gives smaller programs: a computed value becomes an operand, an axis becomes
shorter, a number becomes 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from reference.ops import OPS
from reference.programs import LEAF, NUMBER, Operand, Program, Step, operand_names, text
from reference.programs.forward import values_of
from reference.programs.refilling import Fill, refilled

_SIMPLE = (1.0, 2.0, 0.0)  # where 1 will not do, a 2 tells more than a 0, which makes products equal


def in_order(program: Program) -> Program:
    """Return the program with its operands sorted by their first use and named in that order."""
    start = len(program.operands)
    used = dict.fromkeys(i for step in program.steps for i in step.inputs if i < start)
    order = [*used, *(i for i in range(start) if i not in used)]
    places = {i: place for place, i in enumerate(order)}
    names = operand_names()
    leaves = [i for i, o in enumerate(program.operands) if o.kind == LEAF]
    directions = dict(zip(leaves, program.directions, strict=False))
    return Program(
        tuple(replace(program.operands[i], name=next(names)) for i in order),
        tuple(Step(s.op, tuple(places.get(j, j) for j in s.inputs), s.options) for s in program.steps),
        program.cotangent,
        tuple(directions[i] for i in order if i in directions),
    )


def with_different_numbers(program: Program) -> Iterator[Program]:
    """Yield the program with different numbers 1, 2, 3 and so on in arrays of several numbers.

    Where all numbers are 1, a wrong place and a lost number look alike. All arrays are changed, or only the cotangent
    if a failure depends on the operands.
    """
    if program.cotangent is not None:
        yield from (refilled(program, _counting(), operands=operands) for operands in (True, False))


def _counting() -> Fill:
    numbers = count(1)
    return lambda array: np.array([next(numbers) for _ in range(array.size)]) if array.size > 1 else array


def size(program: Program) -> tuple[Any, ...]:
    """Return what is to be reduced, the most important first."""
    arrays = [o.data for o in program.operands] + ([] if program.cotangent is None else [program.cotangent])
    numbers = np.concatenate([np.ravel(a).astype(float) for a in arrays])
    ranks = sum(a.ndim for a in arrays)
    kinds = sum((o.layout != "C") + (o.data.dtype != np.float64) for o in program.operands if o.kind != NUMBER)
    options = sum(len(text(option)) for step in program.steps for option in step.options.values())
    places = sum(map(_places, (option for step in program.steps for option in step.options.values())))
    unlike_1 = int(np.sum(numbers != 1) + np.sum(~np.isin(numbers, _SIMPLE)))
    counts = len(program.steps), len(program.operands), numbers.size, len(program.directions)
    return *counts, ranks, places, options, kinds, unlike_1


def _places(option: Any) -> int:
    """Count the nonzero numbers of an index, a condition or labels."""
    entries = option if isinstance(option, tuple) else (option,)
    return sum(int(np.count_nonzero(e)) for e in entries if isinstance(e, (int, np.ndarray)))


def smaller(program: Program) -> Iterator[Program]:
    """Yield programs that are simpler in one respect, the largest cuts first."""
    if program.directions:
        yield replace(program, directions=())
    if program.cotangent is not None:
        yield from _fewer_steps(program)
        for fewer in (_fewer_numbers, _simpler_options, _doubles):
            yield from filter(None, (_fitted(p) for p in fewer(program)))
        yield from (replace(program, cotangent=c) for c in _simpler(program.cotangent))
    yield from _simpler_operands(program)


def _fewer_steps(program: Program) -> Iterator[Program]:
    """Yield programs with fewer steps.

    They hold one step alone, or all steps up to one, or a range of steps in which earlier values have become operands.
    Or one step is left out, and one of its inputs takes the place of its value.
    """
    values = values_of(program)
    for last in range(len(program.steps)):
        for cut in range(last, -1, -1):  # values of the steps before `cut` become operands
            yield from filter(None, [_fitted(_part(program, values, cut, last))])
    for i, step in enumerate(program.steps[:-1]):
        for base in dict.fromkeys(step.inputs):
            yield from filter(None, [_fitted(_passed_by(program, i, base))])


def _passed_by(program: Program, i: int, base: int) -> Program:
    """Return the program without a step: an input of the step takes the place of its value."""
    gone = len(program.operands) + i

    def place(j: int) -> int:
        return place(base) if j == gone else j - (j > gone)

    steps = [replace(s, inputs=tuple(map(place, s.inputs))) for s in program.steps]
    shorter = replace(program, steps=(*steps[:i], *steps[i + 1 :]))
    return _part(shorter, (), 0, len(shorter.steps) - 1)  # drops whatever the result does not depend on


def _part(program: Program, values: Sequence[np.ndarray], first: int, last: int) -> Program:
    """Return the steps from `first` to `last` that `last` needs; earlier values become operands."""
    start = len(program.operands)
    needed, stack = set(), [start + last]
    while stack:
        i = stack.pop()
        if i not in needed:
            needed.add(i)
            stack += program.steps[i - start].inputs if i >= start + first else []
    inputs = [i for i in sorted(needed) if i < start + first]
    retained = [i for i in sorted(needed) if i >= start + first]
    places = {i: place for place, i in enumerate([*inputs, *retained])}
    names = operand_names()
    operands = [
        replace(program.operands[i], name=next(names)) if i < start else Operand(next(names), values[i - start].copy())
        for i in inputs
    ]
    steps = [
        Step(s.op, tuple(places[j] for j in s.inputs), s.options) for s in (program.steps[i - start] for i in retained)
    ]
    return Program(tuple(operands), tuple(steps), program.cotangent, _directions(program, inputs))


def _directions(program: Program, inputs: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return the directions of the remaining operands; `_fitted` makes directions for new operands."""
    if not program.directions:
        return ()
    leaves = [i for i, o in enumerate(program.operands) if o.kind == LEAF]
    known = dict(zip(leaves, program.directions, strict=True))
    with_directions = [i for i in inputs if i in known or i >= len(program.operands)]
    return tuple(known.get(i, np.zeros(0)) for i in with_directions)


def _fewer_numbers(program: Program) -> Iterator[Program]:
    """Shorten an axis of one operand, or of all operands in which it has the same length; or remove the axis.

    All axes of a length are also shortened together, for some failures need a square.
    """
    for i, operand in enumerate(program.operands):
        shape = operand.data.shape
        for length in dict.fromkeys(n for n in shape if shape.count(n) > 1):
            among = {j: o.data for j, o in enumerate(program.operands) if length in o.data.shape}
            for places in _halves(length):
                yield _with_data(program, {j: _cut_all(data, length, places) for j, data in among.items()})
        for axis in range(operand.data.ndim):
            from_end = operand.data.ndim - axis
            if operand.data.shape[axis] == 1:
                squeezed = _with_data(program, {i: operand.data.squeeze(axis)})
                yield squeezed
                yield _with_changed_options(squeezed, from_end, 1, np.squeeze)
            elif operand.data.size:
                yield _with_data(program, {i: np.asarray(operand.data.take(0, axis))})
            for places in _halves(operand.data.shape[axis]):
                length = operand.data.shape[axis]
                alike = {j: _cut(program.operands[j].data, from_end, places) for j in _alike(program, from_end, length)}
                yield _with_changed_options(_with_data(program, alike), from_end, length, partial(_take, places))
                yield _with_data(program, {i: _cut(operand.data, from_end, places)})


def _halves(n: int) -> Iterator[list[int]]:
    """Yield the places to keep: the first half, the second half, and all but one."""
    if n > 1:
        yield list(range(n // 2))
        yield list(range(n // 2, n))
        yield from ([*range(i), *range(i + 1, n)] for i in range(n))


def _alike(program: Program, from_end: int, length: int) -> list[int]:
    """Return the operands that have this length at an axis, counted from the end as broadcasting does."""
    shapes = [o.data.shape for o in program.operands]
    return [i for i, shape in enumerate(shapes) if len(shape) >= from_end and shape[-from_end] == length]


def _with_changed_options(
    program: Program, from_end: int, length: int, change: Callable[[np.ndarray, int], np.ndarray]
) -> Program:
    """Also change the array options that have this length at the axis."""
    for i, step in enumerate(program.steps):
        for name, lacks in _arrays(step):
            array, axis = step.options[name], from_end - lacks
            if 0 < axis <= array.ndim and array.shape[-axis] == length:
                program = _with_options(program, i, **{name: change(array, array.ndim - axis)})
    return program


def _cut(data: np.ndarray, from_end: int, places: list[int]) -> np.ndarray:
    return _take(places, data, data.ndim - from_end)


def _cut_all(data: np.ndarray, length: int, places: list[int]) -> np.ndarray:
    """Cut all axes of a length."""
    for axis, n in enumerate(data.shape):
        data = _take(places, data, axis) if n == length else data
    return data


def _take(places: list[int], data: np.ndarray, axis: int) -> np.ndarray:
    return np.take(data, places, axis=axis)


def _with_data(program: Program, data: dict[int, np.ndarray]) -> Program:
    operands = tuple(replace(o, data=data[i], layout="C") if i in data else o for i, o in enumerate(program.operands))
    return replace(program, operands=operands)


def _fitted(program: Program) -> Program | None:
    """Return the program with a cotangent and directions that fit; None if a step refuses its operands.

    A new cotangent has distinct numbers.
    """
    if not any(o.kind == LEAF for o in program.operands):
        return None
    values = values_of(program)
    if len(values) < len(program.steps):
        return None
    value = values[-1]
    fitting = program.cotangent is not None and program.cotangent.shape == value.shape
    unlike = np.asarray(np.arange(2, value.size + 2, dtype=value.dtype).reshape(value.shape) / 2)
    leaves = [o.data for o in program.leaves]
    both = zip(program.directions, leaves, strict=bool(program.directions))
    directions = tuple(d if d.shape == x.shape else np.ones_like(x) for d, x in both)
    return replace(program, cotangent=program.cotangent if fitting else unlike, directions=directions)


def _simpler_options(program: Program) -> Iterator[Program]:
    """Yield a simpler index, an array option of zeros, or a reduction without keepdims."""
    for i, step in enumerate(program.steps):
        for name, option in OPS[step.op].inputs.options.items():
            if name not in step.options:
                continue
            value = step.options[name]
            if option.is_index:
                yield from _simpler_index(program, i, name)
            elif option.lacks is not None:
                if value.any():
                    yield _with_options(program, i, **{name: np.zeros_like(value)})
                if value.ndim and not option.lacks:  # a single number broadcasts
                    yield from (_with_options(program, i, **{name: np.asarray(one)}) for one in value.flat[:1])
            elif isinstance(value, bool) and value:
                yield _with_options(program, i, **{name: False})


def _arrays(step: Step) -> Iterator[tuple[str, int]]:
    """Yield the array options of a step, each with the number of the operand's last axes that it lacks."""
    for name, option in OPS[step.op].inputs.options.items():
        if option.lacks is not None and name in step.options:
            yield name, option.lacks


def _simpler_index(program: Program, i: int, name: str) -> Iterator[Program]:
    """Yield the step with a simpler index: without an entry (and its axis), or with fewer or simpler places."""
    index, base = program.steps[i].options[name], program.steps[i].inputs[0]
    for j, entry in enumerate(index):
        shorter = _with_options(program, i, **{name: (*index[:j], *index[j + 1 :])})
        yield shorter
        data: Any = program.operands[base].data if base < len(program.operands) else np.zeros(())
        if j < data.ndim and data.shape[j]:
            yield _with_data(shorter, {base: data.take(0, axis=j)})
        for simpler in _simpler_entries(entry):
            yield _with_options(program, i, **{name: (*index[:j], simpler, *index[j + 1 :])})


def _simpler_entries(entry: Any) -> Iterator[Any]:
    """Yield fewer places and places of 0 for an array, 0 for a number, and the full slice for a slice."""
    if isinstance(entry, np.ndarray) and entry.dtype.kind == "i":
        if entry.ndim == 1:
            yield from (entry[places] for places in _halves(entry.size))
        yield np.zeros_like(entry)
        for place in np.ndindex(entry.shape):
            if entry[place]:
                changed = entry.copy()
                changed[place] = 0
                yield changed
    elif isinstance(entry, int) and entry:
        yield 0
    elif isinstance(entry, slice) and entry != slice(None):
        yield slice(None)


def _with_options(program: Program, i: int, **options: Any) -> Program:
    step = replace(program.steps[i], options={**program.steps[i].options, **options})
    return replace(program, steps=(*program.steps[:i], step, *program.steps[i + 1 :]))


def _doubles(program: Program) -> Iterator[Program]:
    """Yield the program with all operands in double precision."""
    wide = {i: o.data.astype(float) for i, o in enumerate(program.operands) if o.kind != NUMBER}
    directions = tuple(d.astype(float) for d in program.directions)
    yield replace(_with_data(program, wide), cotangent=None, directions=directions)


def _simpler_operands(program: Program) -> Iterator[Program]:
    for i, operand in enumerate(program.operands):
        if operand.layout != "C":
            yield _replaced(program, i, replace(operand, layout="C"))
        if operand.kind != NUMBER and operand.layout != "repeated":
            yield from (_replaced(program, i, replace(operand, data=data)) for data in _simpler(operand.data))


def _replaced(program: Program, i: int, operand: Operand) -> Program:
    return replace(program, operands=(*program.operands[:i], operand, *program.operands[i + 1 :]))


def _simpler(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the array with all numbers 1, or with one of them replaced by a simple number."""
    if array.dtype.kind != "f":
        return
    yield np.ones_like(array)
    for place in np.ndindex(array.shape):
        for simple in _SIMPLE:
            if array[place] != simple:
                changed = np.array(array)
                changed[place] = simple
                yield changed
