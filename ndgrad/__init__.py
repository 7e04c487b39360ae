"""ndgrad: automatic differentiation of NumPy arrays, and a small neural-network library on top.

`Value` is an array that has a gradient. Each rule of `ndgrad.rules` is a function here under NumPy's name
(`ndgrad.exp`) and a method (`x.exp()`), and is called by NumPy's own function (`np.exp(x)`). Given plain arrays, these
functions return plain arrays.
"""

from typing import TYPE_CHECKING, Any

from ndgrad import numeric, optim
from ndgrad.calculus import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from ndgrad.engine import Value, backward
from ndgrad.graph import draw_dot, trace
from ndgrad.library import MLP, Layer, Module, Neuron, cross_entropy, hinge, mean_squared_error
from ndgrad.memory import keep_freed_memory, release_memory
from ndgrad.modes import check_writes, enable_grad, lean, no_grad
from ndgrad.rules import RULES

__version__ = "0.1.0"

globals().update(RULES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = [  # noqa: PLE0604 - the rules' names come from their tables
    "Layer", "MLP", "Module", "Neuron", "Value", "backward", "check_writes", "cross_entropy", "draw_dot",
    "enable_grad", "grad", "hessian", "hinge", "hvp", "jacobian", "jvp", "keep_freed_memory", "lean",
    "mean_squared_error", "no_grad", "numeric", "optim", "release_memory", "trace", "value_and_grad", "vjp", *RULES,
]  # fmt: skip
