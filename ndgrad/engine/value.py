"""Value: an array that knows its gradient, and of which operands it was made by which rule.

It knows no op and no graph. How results are recorded, `recording` knows, and how gradients are computed, `backward`;
operators, methods and what NumPy hands over are attached by `dispatch`, from the rule tables.
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
    """An N-dimensional array of real numbers that knows its gradient.

    Args:
        data: a number, a nested list of numbers or an array; it is copied. Floats keep their dtype, integers and
            booleans become float64.
        label: a name for pictures and messages.
        requires_grad: whether `backward` computes a gradient for it.

    Raises:
        TypeError: `data` holds something other than real numbers, or is an array of a subclass whose meaning would be
            lost, as of `np.ma`; the label is no text; `requires_grad` is no boolean.
    """

    __slots__ = (
        "__weakref__", "_array", "_gone", "_grad", "_id", "_in_place", "_label", "_operands", "_options", "_remembered",
        "_rule", "_shown", "_trace", "_written", "requires_grad",
    )  # fmt: skip

    _array: np.ndarray  # not `_data`, which numpy.ma would take for its own
    _grad: Any  # None while missing, an array, or a Value after backward(create_graph=True)
    _id: int  # when it was made: a topological order, since operands are older than what is made of them
    _rule: Rule | None  # the rule that made it; None for a leaf
    _operands: Operands  # Values, and the arrays and numbers that were met as constants
    _options: Mapping[str, Any]
    _remembered: tuple[bytes | None, ...]  # what the result and the operands held; unset but under check_writes()
    _shown: tuple[Value, ...]  # the operands as `_prev` gives them; unset until it is asked
    _trace: Value  # under lean(), what stands for it in the graph: a node without its numbers; unset otherwise
    _written: int  # when its data was last assigned; unset until then
    _in_place: int  # when the array that it has was last written in place; unset until one is
    _gone: list[tuple[weakref.ref[np.ndarray], int]]  # arrays that it had before, and when each was; unset until then
    _label: str
    requires_grad: bool

    __array_priority__ = 1000.0

    def __init_subclass__(cls) -> None:
        """Refuse: ops know Values by their very class, and a subclass would be taken for a constant."""
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
        """Its name in pictures and messages; empty if it has none."""
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(
                f"label must be a str, but is {label!r}; "
                "a Value of operands is not constructed: compute with Values, and it is recorded"
            )
        self._label = label

    @property
    def data(self) -> np.ndarray:
        """The numbers. Read-only where they are a view of another Value's. Assigning copies, and keeps the dtype."""
        return self._array

    @data.setter
    def data(self, data: Any) -> None:
        with lock:
            now = next_id()
            if data is self._array:  # `x.data += d` has written in place already, into all views of it as well
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
        """Take another array. Views may still have the one before: if that was written in place, it is remembered."""
        written = getattr(self, "_in_place", 0)
        if written:
            gone = [(array, when) for array, when in getattr(self, "_gone", ()) if array() is not None]
            owner = self._array if self._array.base is None else self._array.base  # which views keep alive
            self._gone = [*gone, (weakref.ref(owner), written)]
            self._in_place = 0
        self._array = new

    @property
    def grad(self) -> Any:
        """The gradient: an array of this shape and dtype. Zeros, read-only, until one has arrived (see `has_grad`).

        A leaf's may be written to; an inner node's is read-only, for it may share its numbers with others. After
        `backward(create_graph=True)` it is a Value, to be differentiated further.
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
        with lock:  # between another thread's reading and writing, it would be undone
            self._grad = grad

    @property
    def has_grad(self) -> bool:
        """Whether a gradient has arrived, or was assigned, since the last `zero_grad()`."""
        return self._grad is not None

    def zero_grad(self) -> None:
        """Make the gradient missing, as it is before the first `backward`."""
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
        """The number of numbers."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of each number."""
        return self._array.dtype

    @property
    def T(self) -> Value:  # noqa: N802 - NumPy's name
        """All axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Value:  # noqa: N802 - NumPy's name
        """The last two axes exchanged."""
        return RULES["swapaxes"](self, -1, -2)  # type: ignore[no-any-return]

    @property
    def _prev(self) -> tuple[Value, ...]:
        """The operands, in order. Constants among them are shown as Values, the same ones each time."""
        try:
            return self._shown
        except AttributeError:  # nobody has asked before
            self._shown = tuple(o if isinstance(o, Value) else constant(constant_array(o)) for o in self._operands)
            return self._shown

    @property
    def _op(self) -> str:
        """The short name of the op that made it; empty for a leaf."""
        return self._rule.symbol if self._rule else ""

    def item(self) -> float:
        """The number itself, where there is just one."""
        return float(self._array.item())

    def detach(self) -> Value:
        """Give a constant with a copy of the data: nothing is computed for it."""
        return constant(self._array.copy())

    def backward(self, gradient: Any = None, *, create_graph: bool = False) -> None:
        """Compute the gradient of this Value towards every Value it was made of.

        Leaves add it to the gradient they have; inner nodes show that of the latest pass. The graph stays, and may
        be passed again. An error leaves every gradient as it was. Several threads may pass back at once, through one
        graph or through several that share leaves: no addition is lost. A write to the data of a graph during a pass
        through it is a race.

        Args:
            gradient: the cotangent, an array of this Value's shape. Ones, if none is given.
            create_graph: whether the gradients are Values that record how they came about.

        Raises:
            RuntimeError: nothing here requires a gradient; or data that a pullback needs was changed meanwhile.
            ValueError: the cotangent has another shape.
        """
        cotangent = self._cotangent(gradient if create_graph else plain(gradient))
        if not self.requires_grad:
            raise RuntimeError(
                f"backward() on a constant: nothing that {self._description()} was made of requires a gradient"
            )
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
        """What a leaf's gradient becomes: an array of its own, for its user may write into it.

        What arrived is such an array if nobody else has it, and it is no view of one that somebody has.
        """
        if self._grad is not None:
            total = self._grad + grad
            return total if isinstance(total, Value) else np.asarray(total)
        if isinstance(grad, Value):
            return RULES["positive"](grad)
        return grad if alone and grad.__class__ is np.ndarray and grad.base is None else np.array(grad)

    def _description(self) -> str:
        made = f"made by {self._rule.__name__}" if self._rule else "a leaf"
        return f"{self._label or 'a Value'} ({made}, shape {self.shape})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Refuse: an array made of a Value would leave the graph in silence."""
        raise TypeError(
            "a Value does not turn into an array by itself, for that would end the graph in silence; "
            "use .data for the array, or ndgrad.stack for a Value made of Values"
        )

    # What Python asks of a container and of a number.

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
        """Give the number. A warning says so where it is taken out of a graph."""
        if self.requires_grad:
            warnings.warn(
                f"float() takes {self._description()} out of the graph: no gradient flows through the number; "
                "where that is meant, write .item() or .detach()",
                stacklevel=2,
            )
        return float(self._array)

    def __repr__(self) -> str:
        numbers = np.array2string(self._array, separator=", ", prefix="Value(data=") if self.ndim else str(self._array)
        return f"Value(data={numbers})" if self.dtype == np.float64 else f"Value(data={numbers}, dtype={self.dtype})"

    def __format__(self, spec: str) -> str:
        """A number's format, where there is just one; `repr` without one."""
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle leaves. A result's copy would be a leaf, and its graph would end in silence: refused."""
        if self._rule is not None:
            raise TypeError(
                f"{self._description()} is part of a graph, which a copy or a pickle would leave: "
                "copy .detach(), or write +x for a Value that stays in the graph"
            )
        return (Value, (self._array, self._label, self.requires_grad))

    if TYPE_CHECKING:  # attached by `backward`, and by `dispatch` from the rules

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
    """Make a Value that wants no gradient, of an array that is its own."""
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
    """Give an operand in a dtype: a Value through the graph, and what is none as an array."""
    if operand.__class__ is not Value:
        return np.asarray(operand, dtype)
    return operand if operand._array.dtype is dtype else RULES["astype"](operand, dtype)


def plain(x: Any) -> Any:
    """Give the array of a Value, and what is none as it is."""
    return x._array if x.__class__ is Value else x
