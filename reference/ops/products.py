"""Products of vectors, matrices and batches of them."""

from __future__ import annotations

import numpy as np

from reference.ops import inputs
from reference.ops.op import REAL, Op

# fmt: off
OPS: tuple[Op, ...] = (
    #   op       definition  operands lie in  shapes and options  what NumPy refuses
    Op("matmul", np.matmul,  (REAL,),         inputs.matrices,    inputs.mismatched,  finite=True, signed=False,
        written=("{0} @ {1}", "{0} @ {1}", "np.matmul({0}, {1})", "ndgrad.matmul({0}, {1})")),
    Op("dot",    np.dot,     (REAL,),         inputs.dotted,      inputs.mismatched,  finite=True, signed=False),
    Op("outer",  np.outer,   (REAL,),         inputs.outers),
)
# fmt: on
