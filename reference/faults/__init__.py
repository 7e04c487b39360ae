"""What must be caught: bugs that really happened to others, and some thought up here, each planted on purpose.

It knows the tables. How a fault is planted, `planting` knows; what catches it, the harness must find out by itself.
"""

from collections.abc import Mapping

from reference.faults import elementwise, library, machine, optimizers, passes, products, reductions, shaping
from reference.faults.absent import ABSENT
from reference.faults.planting import Fault

FAULTS: tuple[Fault, ...] = (
    *elementwise.FAULTS,
    *products.FAULTS,
    *reductions.FAULTS,
    *shaping.FAULTS,
    *passes.FAULTS,
    *machine.FAULTS,
    *optimizers.FAULTS,
    *library.FAULTS,
)

BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}

__all__ = ["ABSENT", "BY_NAME", "FAULTS", "Fault"]
