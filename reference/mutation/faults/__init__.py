"""The tables of the faults written by hand, one file for each part of the engine and of the library."""

from reference.mutation.faults import (
    elementwise,
    gradients,
    indexing,
    library,
    operators,
    optimizers,
    passes,
    products,
    reductions,
    shaping,
    states,
    steps,
)
from reference.mutation.planting import Fault

TABLES = (
    elementwise, products, reductions, shaping, indexing,
    passes, gradients, operators, states, optimizers, steps, library,
)  # fmt: skip
FAULTS: tuple[Fault, ...] = tuple(fault for table in TABLES for fault in table.FAULTS)
