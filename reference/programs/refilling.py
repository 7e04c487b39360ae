"""Programs with other numbers in place of their own: the same steps, shapes and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from reference.programs.program import NUMBER, Operand, Program

Fill = Callable[[np.ndarray], np.ndarray]  # from an array of floats to another one of its shape


def refilled(program: Program, fill: Fill, *, operands: bool = True) -> Program:
    """Return a program with other numbers in its cotangent and its directions.

    Args:
        program: the program.
        fill: makes the new numbers of an array. It is called for the cotangent first.
        operands: whether operands get other numbers, too. Python numbers, integers, conditions and arrays with repeated
            rows keep theirs.
    """

    def new(operand: Operand) -> Operand:
        if operand.kind == NUMBER or operand.data.dtype.kind != "f" or operand.layout == "repeated":
            return operand
        return replace(operand, data=_like(operand.data, fill))

    cotangent = None if program.cotangent is None else _like(program.cotangent, fill)
    directions = tuple(_like(direction, fill) for direction in program.directions)
    changed = tuple(map(new, program.operands)) if operands else program.operands
    return replace(program, operands=changed, cotangent=cotangent, directions=directions)


def _like(array: np.ndarray, fill: Fill) -> np.ndarray:
    return np.asarray(fill(array), array.dtype).reshape(array.shape)
