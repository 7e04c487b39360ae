"""Value: an array with a gradient, and with the rule and the operands that it was computed from.

It knows no op. `recording` makes the Values of results, `backward` computes gradients, and `dispatch` attaches
operators, methods and NumPy's protocols from the rule tables.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ndgrad.engine.arrays import constant_array, new_array, real_array
from ndgrad.engine.clock import lock, next_id, writes
from ndgrad.modes import enable_grad
from ndgrad.rules import RULES, Rule
from ndgrad.rules.rule import Operands

Gradients: TypeAlias = "list[tuple[Value, Any]]"

NO_OPTIONS: dict[str, Any] = {}


class Value:
    """An N-dimensional array of real numbers that has a gradient.

    Args:
        data: a number, a nested list of numbers or an array; it is copied. Floats keep their dtype, integers and
            booleans become float64.
        label: a name for pictures and messages.
        requires_grad: whether `backward` computes a gradient for it.

    Raises:
        TypeError: `data` is not made of real numbers, or is an array of a subclass whose meaning would be lost, such as
            a masked array; the label is not a str; or `requires_grad` is not a boolean.
    """

    __slots__ = (
        "__weakref__", "_array", "_grad", "_id", "_in_place", "_label", "_operands", "_options", "_remembered",
        "_replaced", "_rule", "_shown", "_trace", "_written", "requires_grad",
    )  # fmt: skip

    _array: np.ndarray  # not `_data`, which numpy.ma would take for its own
    _grad: Any  # None while missing, an array, or a Value after backward(create_graph=True)
    _id: int  # the time of creation: a topological order, since operands are older than results
    _rule: Rule | None  # the rule that computed it; None for a leaf
    _operands: Operands  # Values, and constants: arrays and numbers
    _options: Mapping[str, Any]
    _remembered: tuple[bytes | None, ...]  # the bytes of the result and the operands; set under check_writes() only
    _shown: tuple[Value, ...]  # the operands as `_prev` returns them; unset until it is first read
    _trace: Value  # under lean(), the node that stands for it in the graph, without its numbers; otherwise unset
    _written: int  # the time of the last assignment to its data; unset until then
    _in_place: int  # the time of the last write in place to its present array; unset until then
    _replaced: list[
        tuple[weakref.ref[np.ndarray], int]
    ]  # replaced arrays that were written in place, and when; else unset
    _label: str
    requires_grad: bool

    __array_priority__ = 1000.0

    def __init_subclass__(cls) -> None:
        """Raise TypeError: ops compare the class with `Value`, and would take a subclass for a constant."""
        raise TypeError("Value cannot be subclassed: hold a Value in an attribute instead")

    def __init__(self, data: Any, label: str = "", requires_grad: bool = True) -> None:
        self.label = label
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(f"requires_grad must be True or False, but is {requires_grad!r}")
        self._array = new_array(data)
        self._grad = None
        self._id = next_id()
        self._rule = None
        self._operands = ()
        self._options = NO_OPTIONS
        self.requires_grad = bool(requires_grad)

    @property
    def label(self) -> str:
        """The name in pictures and messages; empty by default."""
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(
                f"label must be a str, but is {label!r}; "
                "a Value is not constructed from operands: compute with Values, and the result is recorded"
            )
        self._label = label

    @property
    def data(self) -> np.ndarray:
        """The array. Read-only if it is a view of another Value's. Assignment copies, and keeps the dtype."""
        return self._array

    @data.setter
    def data(self, data: Any) -> None:
        with lock:
            now = next_id()
            if data is self._array:  # `x.data += d` has already written in place, and so into all views
                self._in_place = now
            else:
                new = real_array(data, "data")
                if new.shape != self._array.shape:
                    raise ValueError(f"data has shape {self._array.shape}, but was assigned shape {new.shape}")
                self._replace(new.astype(self._array.dtype))
            self._written = writes.latest = now
            if hasattr(self, "_trace"):
                self._trace._written = now

    def _replace(self, new: np.ndarray) -> None:
        """Replace the array. Views may still use the old one: if that was written in place, remember it."""
        written = getattr(self, "_in_place", 0)
        if written:
            replaced = [(array, when) for array, when in getattr(self, "_replaced", ()) if array() is not None]
            owner = self._array if self._array.base is None else self._array.base  # which views keep alive
            self._replaced = [*replaced, (weakref.ref(owner), written)]
            self._in_place = 0
        self._array = new

    @property
    def grad(self) -> Any:
        """The gradient: an array of this shape and dtype. Read-only zeros while it is missing (see `has_grad`).

        The gradient of a leaf is writable. That of an inner node is read-only, because it may share memory with others.
        After `backward(create_graph=True)` the gradient is a Value, which can be differentiated again.
        """
        grad = self._grad
        if grad is None:
            return np.broadcast_to(np.zeros((), self._array.dtype), self._array.shape)
        if self._rule is None or isinstance(grad, Value):
            return grad
        view: np.ndarray = np.asarray(grad).view()
        view.flags.writeable = False
        return view

    @grad.setter
    def grad(self, grad: Any) -> None:
        if grad is not None and not isinstance(grad, Value):
            new = real_array(grad, "grad")
            if new.shape not in ((), self.shape):
                raise ValueError(f"grad must be a number or have shape {self.shape}, but got shape {new.shape}")
            grad = np.full(self.shape, new, self.dtype)
        elif grad is not None and grad.shape != self.shape:
            raise ValueError(f"grad must have shape {self.shape}, but got {grad.shape}")
        with lock:  # another thread's addition would undo an assignment between its read and its write
            self._grad = grad

    @property
    def has_grad(self) -> bool:
        """Whether a gradient was computed or assigned since the last `zero_grad()`."""
        return self._grad is not None

    def zero_grad(self) -> None:
        """Remove the gradient: it is missing, as before the first `backward`."""
        with lock:
            self._grad = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of each entry."""
        return self._array.dtype

    @property
    def T(self) -> Value:  # noqa: N802 - NumPy's name
        """The transpose: all axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Value:  # noqa: N802 - NumPy's name
        """The matrix transpose: the last two axes swapped."""
        return RULES["swapaxes"](self, -1, -2)  # type: ignore[no-any-return]

    @property
    def _prev(self) -> tuple[Value, ...]:
        """The operands, in order. Constants among them are returned as Values, the same ones at each call."""
        try:
            return self._shown
        except AttributeError:  # the first call
            self._shown = tuple(o if isinstance(o, Value) else constant(constant_array(o)) for o in self._operands)
            return self._shown

    @property
    def _op(self) -> str:
        """The short name of the op that computed it; empty for a leaf."""
        return self._rule.symbol if self._rule else ""

    def item(self) -> float:
        """Return the only entry as a Python float."""
        return float(self._array.item())

    def detach(self) -> Value:
        """Return a constant with a copy of the data: no gradient is computed for it."""
        return constant(self._array.copy())

    def backward(self, gradient: Any = None, *, create_graph: bool = False) -> None:
        """Compute the gradient of this Value with respect to every Value that it was computed from.

        The gradients of leaves accumulate; an inner node has that of the latest pass. The graph remains, and can be
        used again. After an error every gradient is unchanged. Several threads may run backward passes at once, through
        one graph or through several that share leaves: no addition is lost. To write to the data of a graph during a
        pass through it is a race.

        Args:
            gradient: the cotangent, an array of this Value's shape. By default, ones.
            create_graph: whether the gradients are Values that are recorded and can be differentiated again.

        Raises:
            RuntimeError: this Value requires no gradient; or data that a pullback reads changed after the forward pass.
            ValueError: the cotangent has another shape.
        """
        cotangent = self._cotangent(gradient if create_graph else plain(gradient))
        if not self.requires_grad:
            raise RuntimeError(f"backward() on a constant: {self._description()} does not require a gradient")
        self._accumulate([(self, cotangent)], create_graph=create_graph)

    def _cotangent(self, gradient: Any) -> Any:
        if gradient is None:
            return np.ones(self.shape, self.dtype)
        if not isinstance(gradient, Value):
            gradient = real_array(gradient, "cotangent")
        if gradient.shape != self.shape:
            raise ValueError(f"cotangent has shape {gradient.shape}, but the value has shape {self.shape}")
        if isinstance(gradient, Value):
            with enable_grad():
                return cast(gradient, self.dtype)
        return gradient.astype(self.dtype)

    def _accumulated(self, grad: Any, *, alone: bool) -> Any:
        """Return the new gradient of a leaf: an array that nothing else uses, since users may write to it.

        The new contribution itself is used if nothing else refers to it (`alone`), and it is not a view.
        """
        if self._grad is not None:
            total = self._grad + grad
            return total if isinstance(total, Value) else np.asarray(total)
        if isinstance(grad, Value):
            return RULES["positive"](grad)
        return grad if alone and grad.__class__ is np.ndarray and grad.base is None else np.array(grad)

    def _description(self) -> str:
        origin = f"made by {self._rule.__name__}" if self._rule else "a leaf"
        return f"{self._label or 'a Value'} ({origin}, shape {self.shape})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Raise TypeError: an implicit conversion to an array would silently leave the graph."""
        raise TypeError(
            "a Value is not converted to an array implicitly, because that would silently leave the graph; "
            "use .data for the array, or ndgrad.stack to join Values"
        )

    # Python's protocols of containers and numbers.

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Value]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d Value")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._array)

    def __float__(self) -> float:
        """Return the only entry. A warning is issued if this takes it out of a graph."""
        if self.requires_grad:
            warnings.warn(
                f"float() takes {self._description()} out of the graph: no gradient flows through the number; "
                "if that is intended, write .item() or .detach()",
                stacklevel=2,
            )
        return float(self._array)

    def __repr__(self) -> str:
        numbers = np.array2string(self._array, separator=", ", prefix="Value(data=") if self.ndim else str(self._array)
        return f"Value(data={numbers})" if self.dtype == np.float64 else f"Value(data={numbers}, dtype={self.dtype})"

    def __format__(self, spec: str) -> str:
        """Format the only entry by `spec`; without one, as `repr`."""
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle leaves only. The copy of a result would be a leaf, and silently end the graph."""
        if self._rule is not None:
            raise TypeError(
                f"{self._description()} is part of a graph, which a copy or a pickle would leave: "
                "copy .detach(), or write +x for a Value that stays in the graph"
            )
        return (Value, (self._array, self._label, self.requires_grad))

    if TYPE_CHECKING:  # `backward` attaches the first, and `dispatch` the others, from the rules

        @staticmethod
        def _accumulate(roots: Gradients, *, create_graph: bool) -> None: ...

        def __getattr__(self, name: str) -> Callable[..., Value]: ...
        def __getitem__(self, index: Any) -> Value: ...
        def __add__(self, other: Any) -> Value: ...
        def __radd__(self, other: Any) -> Value: ...
        def __sub__(self, other: Any) -> Value: ...
        def __rsub__(self, other: Any) -> Value: ...
        def __mul__(self, other: Any) -> Value: ...
        def __rmul__(self, other: Any) -> Value: ...
        def __truediv__(self, other: Any) -> Value: ...
        def __rtruediv__(self, other: Any) -> Value: ...
        def __matmul__(self, other: Any) -> Value: ...
        def __rmatmul__(self, other: Any) -> Value: ...
        def __pow__(self, other: Any) -> Value: ...
        def __rpow__(self, other: Any) -> Value: ...
        def __neg__(self) -> Value: ...
        def __lt__(self, other: Any) -> np.ndarray: ...
        def __gt__(self, other: Any) -> np.ndarray: ...


new = Value.__new__


def constant(data: np.ndarray) -> Value:
    """Make a Value that requires no gradient. It takes the array without a copy."""
    value: Value = new(Value)
    value._array = data
    value._grad = None
    value._id = next_id()
    value._rule = None
    value._operands = ()
    value._options = NO_OPTIONS
    value._label = ""
    value.requires_grad = False
    return value


def cast(operand: Any, dtype: np.dtype[Any]) -> Any:
    """Cast an operand: a Value by a recorded op, anything else to an array."""
    if operand.__class__ is not Value:
        return np.asarray(operand, dtype)
    return operand if operand._array.dtype is dtype else RULES["astype"](operand, dtype)


def plain(x: Any) -> Any:
    """Return the array of a Value; anything else unchanged."""
    return x._array if x.__class__ is Value else x
