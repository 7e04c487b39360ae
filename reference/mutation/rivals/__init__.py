"""The checkers that people use today, given the same planted faults: what each finds, and how often it cries wolf.

Each is called through its own public interface, with its defaults and on the inputs that its documentation suggests,
and is handed ndgrad as a function of its own library, as a user would wrap the engine. It knows faults only as
something to be planted. Nothing here prints.
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
