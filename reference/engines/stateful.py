"""Engines with state: gradients of leaves add up over passes, and numbers are written between them.

This is what sessions ask of both sides; `training` has the rest. An engine that is judged has the methods of
`Stateful`, and as many of the optional ones as it likes: what it lacks is not asked of it. The reference has more, for
it must say what is right after any call, and how far rounding may move it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from reference.engines.protocol import Noise

# fmt: off
# What an engine may have beside the methods of `Stateful`. It is found by its name.
OPTIONAL: Mapping[str, str] = {
    # method or attribute  what it is
    "constant":           "constant(array): a value that wants no gradient",
    "zero":               "zero(leaf): make its gradient missing, or zeros",
    "set_gradient":       "set_gradient(leaf, array): give it a gradient; the array is copied",
    "write":              "write(leaf, array): change its numbers; the array is copied",
    "back_several":       "back_several(results, cotangents): one pass from several values",
    "detach":             "detach(value): a constant with its numbers",
    "copy":               "copy(leaf): a leaf of its own with the same numbers",
    "unrecorded":         "unrecorded(): a context in which results want no gradient",
    "optimizers":         "optimizers: classes by PyTorch's names, made as PyTorch's: SGD(leaves, lr=0.1)",
    "fresh":              "fresh(): forget what is left of the session before, as a tape that all values share",
    "frees":              "frees: True, if what nothing leads to is freed without the help of the cyclic collector",
}
# fmt: on


class Stateful(Protocol):
    """An engine whose values remember how they were made. `TapeEngine` is one."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """For each op that it knows, by the op table's name, the function `f(*operands, **options)`."""
        ...

    def leaf(self, array: np.ndarray, name: str) -> Any:
        """Make a value that wants a gradient. The array is read-only."""
        ...

    def data(self, value: Any) -> np.ndarray:
        """Give a value's numbers as an array."""
        ...

    def back(self, result: Any, cotangent: np.ndarray) -> None:
        """Pass back from a result. What arrives at a leaf is added to what it has."""
        ...

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Give a leaf's gradient; None or zeros if none has arrived."""
        ...


class StatefulReference(Protocol):
    """The reference's half of a session: its own graph. Values are its own, too, and nobody looks into them.

    Arrays that it gives are its memory: who writes into one changes its numbers.

    Attributes:
        read_overwritten: whether the latest backward pass read numbers that were overwritten since.
    """

    read_overwritten: bool

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it is right in, so that no witness need be asked."""
        ...

    def leaf(self, array: np.ndarray, *, wanted: bool = True) -> Any:
        """Make a value of a copy of an array, which wants a gradient or not."""
        ...

    def apply(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], *, recorded: bool = True) -> Any:
        """Apply an op to values and Python numbers. The result has memory of its own.

        Raises:
            ValueError: the operands do not fit each other.
        """
        ...

    def record(self, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
        """Apply a function that is made of Python's operators alone. The result has memory of its own."""
        ...

    def data(self, value: Any) -> np.ndarray:
        """Give a value's numbers."""
        ...

    def wants(self, value: Any) -> bool:
        """Whether it wants a gradient."""
        ...

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Give a leaf's gradient."""
        ...

    def set_gradient(self, leaf: Any, array: np.ndarray | None) -> None:
        """Give a leaf a gradient, or none."""
        ...

    def overwrite(self, value: Any) -> None:
        """Copy what the graph needs of a value, whose numbers are about to change."""
        ...

    def gradients(
        self, roots: Sequence[tuple[Any, np.ndarray]], towards: Sequence[Any], noise: Noise | None = None
    ) -> list[np.ndarray | None]:
        """Give the gradients towards values, from roots with their cotangents; disturbed, if noise is given."""
        ...

    def applied(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], noise: Noise) -> np.ndarray:
        """Give what an op gives of disturbed operands."""
        ...

    def computed(self, function: Callable[..., Any], operands: Sequence[Any], noise: Noise) -> np.ndarray:
        """Give what a function gives of disturbed operands."""
        ...

    def optimizer(self, kind: str, leaves: Sequence[Any], options: Mapping[str, Any]) -> OptimizerReference:
        """Make an optimizer of leaves, by its kind's name."""
        ...


State = dict[str, np.ndarray]  # what an optimizer keeps of one leaf, by name


class OptimizerReference(Protocol):
    """An optimizer of the reference. `step` counts are kept as the entry `step`."""

    def step(self) -> None:
        """Move each leaf that has a gradient."""
        ...

    def zero(self) -> None:
        """Make all gradients missing."""
        ...

    def set(self, option: str, number: float) -> None:
        """Change an option."""
        ...

    def save(self) -> Any:
        """Give a copy of all that is needed to go on later."""
        ...

    def load(self, saved: Any) -> None:
        """Go on from what was saved, by this optimizer or by another one of its kind."""
        ...

    def states(self) -> list[State]:
        """What is kept of each leaf."""
        ...

    def held(self) -> Any:
        """Give a copy of all that a step reads and writes."""
        ...

    def stepped_from(self, held: Any, noise: Noise) -> list[tuple[np.ndarray, State]]:
        """Give each leaf's numbers and state after a step from disturbed numbers. Nothing is changed by it."""
        ...


def offered(side: Any, what: str) -> Callable[..., Any] | None:
    """What a side offers by a name, to be called for something fresh; None if it has no such thing.

    Args:
        side: an engine, or a reference.
        what: of an engine `speaker`, `trainer` or `library`; of a reference `stateful`, `trainer` or `library`.
    """
    found: Callable[..., Any] | None = getattr(side, what, None)
    return found
