"""Protocols of engines with state: gradients of leaves accumulate, and numbers are written between backward passes.

Sessions use these protocols; those of training are in `training`. An engine to be judged has the methods of `Stateful`
and any of the optional ones. The reference has more methods, for it must give the right state after any call, and how
far rounding may move it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from reference.engines.protocol import Noise

# fmt: off
# Optional attributes of an engine beside the methods of `Stateful`, found by name.
OPTIONAL: Mapping[str, str] = {
    # method or attribute  meaning
    "constant":           "constant(array): a value that requires no gradient",
    "zero":               "zero(leaf): clear its gradient, to None or zeros",
    "set_gradient":       "set_gradient(leaf, array): assign its gradient; the array is copied",
    "write":              "write(leaf, array): change its numbers; the array is copied",
    "back_several":       "back_several(results, cotangents): one backward pass from several values",
    "detach":             "detach(value): a constant with its numbers",
    "copy":               "copy(leaf): a new leaf with the same numbers",
    "unrecorded":         "unrecorded(): a context in which results require no gradient",
    "optimizers":         "optimizers: classes by PyTorch's names, called as PyTorch's: SGD(leaves, lr=0.1)",
    "fresh":              "fresh(): forget the previous session, such as a tape that all values share",
    "frees":              "frees: True if unreachable objects are freed without the cyclic garbage collector",
}
# fmt: on


class Stateful(Protocol):
    """An engine whose values record how they were computed. `TapeEngine` is one."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The function `f(*operands, **options)` of each supported op, by the op table's name."""
        ...

    def leaf(self, array: np.ndarray, name: str) -> Any:
        """Make a value that requires a gradient. The array is read-only."""
        ...

    def data(self, value: Any) -> np.ndarray:
        """Return a value's numbers as an array."""
        ...

    def back(self, result: Any, cotangent: np.ndarray) -> None:
        """Run a backward pass from a result. Gradients of leaves accumulate."""
        ...

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Return a leaf's gradient; None or zeros if there is none."""
        ...


class StatefulReference(Protocol):
    """The reference's side of a session. It has a graph and values of its own.

    The arrays that it returns are views of its memory: writing into one changes its numbers.

    Attributes:
        read_overwritten: whether the latest backward pass read numbers that were overwritten since the forward pass.
    """

    read_overwritten: bool

    @property
    def ops(self) -> Sequence[str]:
        """The ops in which it needs no witness."""
        ...

    def leaf(self, array: np.ndarray, *, wanted: bool = True) -> Any:
        """Make a value of a copy of an array; `wanted` tells whether it requires a gradient."""
        ...

    def apply(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], *, recorded: bool = True) -> Any:
        """Apply an op to values and Python numbers. The result has memory of its own.

        Raises:
            ValueError: the operands do not fit each other.
        """
        ...

    def record(self, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
        """Apply a function that uses only Python's operators. The result has memory of its own."""
        ...

    def data(self, value: Any) -> np.ndarray:
        """Return a value's numbers."""
        ...

    def wants(self, value: Any) -> bool:
        """Whether a value requires a gradient."""
        ...

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Return a leaf's gradient."""
        ...

    def set_gradient(self, leaf: Any, array: np.ndarray | None) -> None:
        """Assign a leaf's gradient, or clear it with None."""
        ...

    def overwrite(self, value: Any) -> None:
        """Copy the numbers of a value that the graph needs, before they change."""
        ...

    def gradients(
        self, roots: Sequence[tuple[Any, np.ndarray]], towards: Sequence[Any], noise: Noise | None = None
    ) -> list[np.ndarray | None]:
        """Return the gradients of `towards`, from roots with their cotangents; disturbed if `noise` is given."""
        ...

    def applied(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], noise: Noise) -> np.ndarray:
        """Return an op's result on disturbed operands."""
        ...

    def computed(self, function: Callable[..., Any], operands: Sequence[Any], noise: Noise) -> np.ndarray:
        """Return a function's result on disturbed operands."""
        ...

    def optimizer(self, kind: str, leaves: Sequence[Any], options: Mapping[str, Any]) -> OptimizerReference:
        """Make an optimizer of leaves by the name of its kind."""
        ...


State = dict[str, np.ndarray]  # an optimizer's state of one leaf, by name


class OptimizerReference(Protocol):
    """An optimizer of the reference. A leaf's state has its step count as the entry `step`."""

    def step(self) -> None:
        """Update each leaf that has a gradient."""
        ...

    def zero(self) -> None:
        """Clear all gradients."""
        ...

    def set(self, option: str, number: float) -> None:
        """Change an option."""
        ...

    def save(self) -> Any:
        """Return a copy of the state and options."""
        ...

    def load(self, saved: Any) -> None:
        """Load state and options saved by this optimizer or by another of its kind."""
        ...

    def states(self) -> list[State]:
        """Return the state of each leaf."""
        ...

    def snapshot(self) -> Any:
        """Return a copy of all that a step reads and writes."""
        ...

    def stepped_from(self, snapshot: Any, noise: Noise) -> list[tuple[np.ndarray, State]]:
        """Return each leaf's numbers and state after a step from a disturbed snapshot. Nothing is changed."""
        ...


def offered(side: Any, what: str) -> Callable[..., Any] | None:
    """Return a factory that an engine or a reference offers, or None.

    Args:
        side: an engine or a reference.
        what: the attribute: `speaker`, `trainer` or `library` of an engine; `stateful`, `trainer` or `library` of a
            reference.
    """
    found: Callable[..., Any] | None = getattr(side, what, None)
    return found
