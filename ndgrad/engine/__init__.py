"""The engine: the graph that Values grow, and the one pass back through it.

It knows no op. It records which rule made each Value of which operands (`recording`); the backward pass asks those
rules' pullbacks, one node at a time, latest first, and adds up what reaches each operand (`backward`). Operators,
methods and NumPy's functions are attached to `Value` from the rule tables (`dispatch`).
"""

from ndgrad.engine.backward import backward, pass_back
from ndgrad.engine.dispatch import attach
from ndgrad.engine.recording import record
from ndgrad.engine.value import Value

__all__ = ["Value", "attach", "backward", "pass_back", "record"]
