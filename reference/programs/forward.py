"""Values of programs by the op table's definitions, and which programs NumPy refuses. No engine is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.ops import OPS, forward
from reference.programs import NUMBER, Program


def values_of(program: Program) -> tuple[np.ndarray, ...]:
    """Compute the value of each step, in order, up to the first step that NumPy refuses."""
    values: list[Any] = [o.array if o.kind == NUMBER else o.data for o in program.operands]
    start = len(values)
    for step in program.steps:
        try:
            values.append(forward(OPS[step.op], [values[i] for i in step.inputs], step.options))
        except Exception:  # noqa: BLE001 - any error is a refusal
            break
    return tuple(values[start:])


def is_refused(program: Program) -> bool:
    """Whether NumPy refuses one of the steps."""
    return len(values_of(program)) < len(program.steps)
