"""Values of ops on plain arrays, by their definitions. No gradient is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reference.ops.op import Op


def promoted(operands: Sequence[Any]) -> np.dtype[Any]:
    """Give the dtype that operands are cast to before the op: NumPy's promotion of the floating ones.

    Integers, booleans and Python numbers take the dtype of the floats beside them.
    """
    floats = [o.dtype for o in operands if isinstance(o, np.ndarray) and o.dtype.kind == "f"]
    return np.result_type(*floats) if floats else np.dtype(float)


def forward(op: Op, operands: Sequence[Any], options: Mapping[str, Any]) -> np.ndarray:
    """Compute an op on arrays and Python numbers.

    Raises:
        Exception: NumPy refuses the operands or the options, with any error.
    """
    dtype = promoted(operands)
    with np.errstate(all="ignore"):
        return np.asarray(op.definition(*(np.asarray(o, dtype) for o in operands), **options))
