"""The engine: it records a graph of Values, and runs the backward pass through it.

The engine knows no op. `recording` stores with each Value the rule and the operands that it was computed from.
`backward` visits the nodes, latest first, calls the pullbacks of their rules, and sums the cotangents of each operand.
`dispatch` attaches operators, methods and NumPy's functions to `Value` from the rule tables.
"""

from ndgrad.engine.backward import backward, pass_back
from ndgrad.engine.dispatch import attach
from ndgrad.engine.recording import record
from ndgrad.engine.value import Value

__all__ = ["Value", "attach", "backward", "pass_back", "record"]
