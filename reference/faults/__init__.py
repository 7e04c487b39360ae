"""What must be caught: bugs that really happened to others, and some thought up here, each planted on purpose.

It knows the tables of what is written by hand, and what is derived for every op. How a fault is planted, `planting`
knows; what catches it, the harness must find out by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from reference.faults import (
    elementwise,
    gradients,
    indexing,
    library,
    machine,
    optimizers,
    passes,
    products,
    reductions,
    shaping,
    states,
    steps,
)
from reference.faults.absent import ABSENT
from reference.faults.generic import generic, third
from reference.faults.planting import Fault

TABLES = (
    elementwise, products, reductions, shaping, indexing,
    passes, gradients, machine, states, optimizers, steps, library,
)  # fmt: skip
FAULTS: tuple[Fault, ...] = tuple(fault for table in TABLES for fault in table.FAULTS)

BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}
GENERIC: Mapping[str, Callable[[], Iterable[Fault]]] = {
    "all": generic,
    "third": lambda: third(generic()),
    "none": tuple,
}


@cache
def every() -> Mapping[str, Fault]:
    """All faults by name: those written by hand, and the generic ones."""
    return {**BY_NAME, **{fault.name: fault for fault in generic()}}


__all__ = ["ABSENT", "BY_NAME", "FAULTS", "GENERIC", "TABLES", "Fault", "every", "generic"]
