"""What must be caught: bugs that really happened to others, and some thought up here, each planted on purpose.

It knows the tables of what is written by hand, and what is derived for every op. How a fault is planted, `planting`
knows; what catches it, the harness must find out by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from reference.mutation.absent import ABSENT
from reference.mutation.faults import FAULTS, TABLES
from reference.mutation.generic import generic, third
from reference.mutation.planting import Fault

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
