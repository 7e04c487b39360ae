"""The steps of a program as programs of their own, each on the operands that it had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reference.engines import Outcome
from reference.programs import LEAF, Operand, Program, Step, operand_names


def steps_alone(program: Program, outcome: Outcome) -> Iterator[tuple[int, Program]]:
    """Give each step as a program of its own, with a cotangent of distinct numbers."""
    values = [*(o.data for o in program.operands), *outcome.values]
    for number, (step, value) in enumerate(zip(program.steps, outcome.values, strict=False)):
        used = list(dict.fromkeys(step.inputs))
        operands = tuple(_operand(program, i, n, values[i]) for n, i in zip(operand_names(), used, strict=False))
        if any(o.kind == LEAF for o in operands):
            places = tuple(used.index(i) for i in step.inputs)
            leaves = [o.data for o in operands if o.kind == LEAF]
            directions = tuple(map(_varied, leaves)) if program.directions else ()
            yield number, Program(operands, (Step(step.op, places, step.options),), _varied(value), directions)


def _varied(like: np.ndarray) -> np.ndarray:
    """Return distinct numbers, as an array of the same shape and dtype."""
    return np.asarray(np.arange(1, like.size + 1, dtype=like.dtype).reshape(like.shape) / 2)


def _operand(program: Program, i: int, name: str, value: np.ndarray) -> Operand:
    """Return an operand of a step: the program's operand, or a leaf in place of an earlier step's value."""
    if i < len(program.operands):
        return replace(program.operands[i], name=name)
    return Operand(name, np.array(value), LEAF)
