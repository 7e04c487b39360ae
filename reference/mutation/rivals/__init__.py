"""Gradient checkers of other packages, run on the same planted faults: what each finds, and its false alarms.

Each checker is called through its public interface, with its defaults, on the inputs that its documentation suggests.
ndgrad is wrapped as a function of the checker's own library, as a user would do it. Nothing here prints.
"""

from reference.mutation.rivals.comparison import (
    CHECKERS,
    GROUPS,
    Alarms,
    Checker,
    Row,
    available,
    compare,
    false_alarms,
    passes,
)
from reference.mutation.rivals.wrapper import Case

__all__ = ["CHECKERS", "GROUPS", "Alarms", "Case", "Checker", "Row", "available", "compare", "false_alarms", "passes"]
