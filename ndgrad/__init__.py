"""ndgrad: NumPy arrays that know their gradient, and a small neural-network library on top.

`Value` is the array; every rule of `ndgrad.rules` is a function here under NumPy's name (`ndgrad.exp`), a method
(`x.exp()`) and NumPy's own function (`np.exp(x)`). Given plain arrays, these functions give plain arrays.
"""

from typing import TYPE_CHECKING, Any

from ndgrad.calculus import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from ndgrad.engine import Value, check_writes, enable_grad, no_grad
from ndgrad.rules import RULES

__version__ = "0.1.0"

globals().update(RULES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = [  # noqa: PLE0604 - the rules' names come from their tables
    "Value", "check_writes", "enable_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "value_and_grad",
    "vjp", *RULES,
]  # fmt: skip
