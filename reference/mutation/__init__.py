"""Mutation testing: faults that the harness must catch. Many are real bugs of other engines, others were made up here.

Some faults are written by hand, in tables; the generic ones are derived for every op. `planting` plants them. The
checks that must catch them are written without knowledge of them.
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
    """Return all faults by name: first those written by hand, then the generic ones."""
    return {**BY_NAME, **{fault.name: fault for fault in generic()}}


__all__ = ["ABSENT", "BY_NAME", "FAULTS", "GENERIC", "TABLES", "Fault", "every", "generic"]
