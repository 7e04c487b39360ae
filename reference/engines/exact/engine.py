"""Exact values: programs run forward with 120 digits or more, by the definitions of the op table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import gmpy2
import numpy as np

from reference.engines.exact.jitter import Jitter
from reference.engines.exact.numbers import PRECISION, Exact, computed, exactly, precisely
from reference.ops import OPS, promoted
from reference.programs import NUMBER, Program


class ExactStep(NamedTuple):
    """A step in exact numbers.

    Args:
        inputs: the operands, in the dtype of the step: a double beside singles is rounded.
        value: the value.
    """

    inputs: list[Exact]
    value: Exact


class ExactEngine:
    """Programs in many digits, by the definitions of the op table. Only operands are rounded, where NumPy casts them.

    Args:
        bits: the number of bits of each number.
        jitter: moves each operand as it is used.
    """

    def __init__(self, bits: int = PRECISION, jitter: Jitter | None = None) -> None:
        self.bits = bits
        self._jitter = jitter

    def values(self, program: Program, leaves: Mapping[int, Exact] | None = None) -> list[Exact]:
        """Compute the value of each step.

        Args:
            program: the program.
            leaves: other numbers for some leaves, by their index among the operands.
        """
        return [step.value for step in self.steps(program, leaves)]

    def value(self, program: Program, place: tuple[int, ...]) -> Any:
        """Compute one number of the result."""
        return self.values(program)[-1][place]

    def steps(self, program: Program, leaves: Mapping[int, Exact] | None = None) -> list[ExactStep]:
        """Compute each step, with its operands. The arguments are those of `values`."""
        moved = self._jitter.moves() if self._jitter else np.asarray
        weak = [o.kind == NUMBER for o in program.operands]
        dtypes = [np.asarray(o.array).dtype for o in program.operands]
        steps: list[ExactStep] = []
        with precisely(self.bits):
            values = [exactly(o.array) for o in program.operands]
            for place, numbers in (leaves or {}).items():
                values[place] = np.asarray(numbers)
            for step in program.steps:
                dtype = promoted([np.empty(0, dtypes[i]) for i in step.inputs if not (i < len(weak) and weak[i])])
                move = np.asarray if OPS[step.op].selects else moved  # another number would be selected
                inputs = [move(cast(values[i], dtypes[i], dtype)) for i in step.inputs]
                values.append(computed(OPS[step.op].definition, inputs, step.options))
                dtypes.append(np.dtype(step.options.get("dtype", dtype)))
                steps.append(ExactStep(inputs, values[-1]))
        return steps


def cast(x: Exact, own: np.dtype[Any], dtype: np.dtype[Any]) -> Exact:
    """Cast an operand to the dtype of a step: a double beside singles, such as Python's 0.1, is rounded."""
    return x if own.kind != "f" or own.itemsize <= dtype.itemsize else exactly(x.astype(float).astype(dtype))


def is_finite(x: Exact) -> np.ndarray:
    """Return a mask of the finite numbers."""
    return np.array([bool(gmpy2.is_finite(n)) for n in x.flat], bool).reshape(x.shape)
