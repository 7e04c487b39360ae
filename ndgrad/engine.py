"""Value: an array that knows its gradient. The graph it grows, and the one pass back through it.

The engine knows no op. It records which rule made each Value of which operands; the pass back asks those rules'
pullbacks, one node at a time, latest first, and adds up what reaches each operand. Operators, methods and NumPy
functions are attached to `Value` from the rule tables, at the end of this file.
"""

from __future__ import annotations

import itertools
import reprlib
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from heapq import heappop, heappush
from sys import getrefcount
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np

from ndgrad.memory import HEAP, keep_heap
from ndgrad.modes import ENTERED, current, enable_grad
from ndgrad.names import NO_OUT, by_signature, full_name, stated
from ndgrad.rules import RULES, Rule
from ndgrad.rules.plain import check_plain
from ndgrad.rules.rule import Operands, Options

Gradients: TypeAlias = "list[tuple[Value, Any]]"

_NO_OPTIONS: dict[str, Any] = {}
_next_id = itertools.count(1).__next__  # ids of nodes and of writes to data, one clock: which came first?
_latest_write = 0  # the id of the latest write to data; nodes that are newer need not be asked what changed
_lock = threading.RLock()  # around what threads that share leaves would lose: additions, and the time of a write


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
        self._array = _copied(data)
        self._grad = None
        self._id = _next_id()
        self._rule = None
        self._operands = ()
        self._options = _NO_OPTIONS
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
        global _latest_write
        with _lock:
            now = _next_id()
            if data is self._array:  # `x.data += d` has written in place already, into all views of it as well
                self._in_place = now
            else:
                new = _real(data, "data")
                if new.shape != self._array.shape:
                    raise ValueError(f"data has shape {self._array.shape}, but was assigned shape {new.shape}")
                self._replace(new.astype(self._array.dtype))
            self._written = _latest_write = now
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
            new = _real(grad, "grad")
            if new.shape not in ((), self.shape):
                raise ValueError(f"grad must be a number or have shape {self.shape}, but got shape {new.shape}")
            grad = np.full(self.shape, new, self.dtype)
        elif grad is not None and grad.shape != self.shape:
            raise ValueError(f"grad must have shape {self.shape}, but got {grad.shape}")
        with _lock:  # between another thread's reading and writing, it would be undone
            self._grad = grad

    @property
    def has_grad(self) -> bool:
        """Whether a gradient has arrived, or was assigned, since the last `zero_grad()`."""
        return self._grad is not None

    def zero_grad(self) -> None:
        """Make the gradient missing, as it is before the first `backward`."""
        with _lock:
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
        return record(RULES["swapaxes"], (self,), {"axis1": -1, "axis2": -2})

    @property
    def _prev(self) -> tuple[Value, ...]:
        """The operands, in order. Constants among them are shown as Values, the same ones each time."""
        try:
            return self._shown
        except AttributeError:  # nobody has asked before
            self._shown = tuple(o if isinstance(o, Value) else _constant(_shown(o)) for o in self._operands)
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
        return _constant(self._array.copy())

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
        cotangent = self._cotangent(gradient if create_graph else _plain(gradient))
        if not self.requires_grad:
            raise RuntimeError(
                f"backward() on a constant: nothing that {self._named()} was made of requires a gradient"
            )
        _accumulate([(self, cotangent)], create_graph=create_graph)

    def _cotangent(self, gradient: Any) -> Any:
        if gradient is None:
            return np.ones(self.shape, self.dtype)
        if not isinstance(gradient, Value):
            gradient = _real(gradient, "cotangent")
        if gradient.shape != self.shape:
            raise ValueError(f"cotangent has shape {gradient.shape}, but the value has shape {self.shape}")
        if isinstance(gradient, Value):
            with enable_grad():
                return _cast(gradient, self.dtype)
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
        return grad if alone and grad.__class__ is _ndarray and grad.base is None else np.array(grad)

    def _named(self) -> str:
        made = f"made by {self._rule.__name__}" if self._rule else "a leaf"
        return f"{self._label or 'a Value'} ({made}, shape {self.shape})"

    # How NumPy and the rules hand their work over.

    def __apply_rule__(self, rule: Rule, operands: Operands, options: Options) -> Value:
        return record(rule, operands, options)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        rule = UFUNCS.get((ufunc, method))
        if rule is not None and rule.operands_alone and not options:
            return record(rule, inputs, _NO_OPTIONS)
        name = full_name(ufunc) if method == "__call__" else f"{full_name(ufunc)}.{method}"
        if options.get("out") is not None:
            raise TypeError(f"{name} {NO_OUT}")
        if rule is not None:
            if method != "__call__":
                options.setdefault("axis", 0)  # NumPy's default for ufunc.reduce and ufunc.accumulate
            return rule(*inputs, **stated(name, rule, options))
        if ufunc in _FLAT and method == "__call__":
            return ufunc(*map(_plain, inputs), **options)
        raise _without_rule(name)

    def __array_function__(
        self, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        rule = FUNCTIONS.get(function)
        if rule is not None:
            try:
                bound = rule.bind(*args, **options)
            except TypeError:  # an option that the rule does not have, or none by this place: NumPy's signature tells
                args, options = by_signature(function, args, options)
                bound = rule.bound(*args, **stated(full_name(function), rule, options))
            return [rule.apply(*call) for call in bound] if isinstance(bound, list) else rule.apply(*bound)
        if function in _FLAT:
            return function(*map(_plain, args), **{name: _plain(option) for name, option in options.items()})
        raise _without_rule(full_name(function))

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
                f"float() takes {self._named()} out of the graph: no gradient flows through the number; "
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
                f"{self._named()} is part of a graph, which a copy or a pickle would leave: "
                "copy .detach(), or write +x for a Value that stays in the graph"
            )
        return (Value, (self._array, self._label, self.requires_grad))

    if TYPE_CHECKING:  # attached below, from the rules

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


# Recording: from operands to a result that remembers them.

_new = Value.__new__
_ndarray = np.ndarray


def record(rule: Rule, operands: Operands, options: Options) -> Value:
    """Apply a rule to operands of which at least one is a Value. Every op can come this way.

    Args:
        rule: what to compute.
        operands: Values, arrays, lists and Python numbers. Integers and booleans take the dtype of the floats.
        options: the rule's options, already bound.
    """
    if len(operands) == 1 and operands[0].__class__ is Value:  # there is nothing to be promoted to
        y = rule.forward(operands[0]._array, **options)
    else:
        operands = _promoted(operands, rule)
        y = rule.forward(*[o._array if o.__class__ is Value else o for o in operands], **options)
    if rule.keep is not None:
        y, kept = y
        options = {**options, "kept": kept}
    return _result(rule, operands, options, y)


# The fast path: an operator on Values of one dtype, or on a Value and a Python number, none of it guarded. It is
# written out in full in each of two functions, and does what `record` does: a call would cost as much as the rest.


def _unary(rule: Rule) -> Callable[[Value], Value]:
    """Record an op of one operand without options."""
    forward, views = rule.forward, rule.views

    def operator(x: Value) -> Value:
        y = forward(x._array)
        if not x.requires_grad or ENTERED or views or y.__class__ is not _ndarray:
            return _result(rule, (x,), _NO_OPTIONS, y)
        value: Value = _new(Value)
        value._array = y
        value._grad = None
        value._id = _next_id()
        value._rule = rule
        value._operands = (x,)
        value._options = _NO_OPTIONS
        value._label = ""
        value.requires_grad = True
        return value

    return operator


def _binary(rule: Rule) -> Callable[[Value, Any], Value]:
    """Record an operator between two operands."""
    forward = rule.forward
    quick_with_arrays = isinstance(forward, np.ufunc)  # quicker than with Python numbers, which it converts each time

    def operator(a: Value, b: Any) -> Value:
        kind = b.__class__
        if kind is Value:
            if a._array.dtype is not b._array.dtype:
                return record(rule, (a, b), _NO_OPTIONS)
            y = forward(a._array, b._array)
            wanted = a.requires_grad or b.requires_grad
        elif kind is float or kind is int or (kind is _ndarray and a._array.dtype is b.dtype):
            if kind is not _ndarray and quick_with_arrays and a._array.dtype is _DOUBLE:
                known = _met.get(b)
                b = _meet(b) if known is None else known
            y = forward(a._array, b)
            wanted = a.requires_grad
        else:
            return record(rule, (a, b), _NO_OPTIONS) if _is_operand(b) else NotImplemented
        if not wanted or ENTERED or y.__class__ is not _ndarray:
            return _result(rule, (a, b), _NO_OPTIONS, y)
        value: Value = _new(Value)
        value._array = y
        value._grad = None
        value._id = _next_id()
        value._rule = rule
        value._operands = (a, b)
        value._options = _NO_OPTIONS
        value._label = ""
        value.requires_grad = True
        return value

    return operator


_DOUBLE = np.dtype(np.float64)
_met: dict[float, np.ndarray] = {}  # Python numbers that were met beside double precision, as arrays without axes


def _meet(number: float) -> Any:
    """Remember a number as an array; 0, whose two signs a dict takes for one, NaN, and what comes late stay numbers."""
    if number == 0 or number != number or len(_met) >= 1_000 or abs(number) > 2**53:  # noqa: PLR0124, PLR2004
        return number
    _met[number] = array = np.array(number, _DOUBLE)
    array.flags.writeable = False
    return array


def _reflected(rule: Rule) -> Callable[[Value, Any], Value]:
    """The same with the operands exchanged, for a left operand that is no Value."""
    forward = rule.forward
    quick_with_arrays = isinstance(forward, np.ufunc)

    def operator(b: Value, a: Any) -> Value:
        kind = a.__class__
        if kind is float or kind is int:
            if quick_with_arrays and b._array.dtype is _DOUBLE:
                known = _met.get(a)
                a = _meet(a) if known is None else known
            return _result(rule, (a, b), _NO_OPTIONS, forward(a, b._array))
        return record(rule, (a, b), _NO_OPTIONS) if _is_operand(a) else NotImplemented

    return operator


def _result(rule: Rule, operands: Operands, options: Mapping[str, Any], y: Any) -> Value:
    """The Value of an op's result: a node of the graph if an operand wants a gradient, and a constant otherwise."""
    if y.__class__ is not _ndarray:
        y = np.asarray(y)
    for operand in operands:
        if operand.__class__ is Value and operand.requires_grad:
            break
    else:
        return _constant(_own(rule, y))
    if ENTERED and not current().recording:
        return _constant(_own(rule, y))
    if rule.views:
        y = y.view()
        y.flags.writeable = False  # to write into it would write into the operand as well
    value: Value = _new(Value)
    value._array = y
    value._grad = None
    value._id = _next_id()
    value._rule = rule
    value._operands = operands
    value._options = options
    value._label = ""
    value.requires_grad = True
    if ENTERED and current().remembering:
        _remember(value)
    if ENTERED and current().lean:
        _make_lean(value)
    return value


def _make_lean(value: Value) -> None:
    """Have a trace stand in the graph for a result, and those of its operands for these.

    A trace has the numbers only if a pullback reads them: its own rule's, or that of an op it is an operand of.
    """
    rule, operands = value._rule, value._operands
    wanted = [i for i, o in enumerate(operands) if o.__class__ is Value and o.requires_grad]
    read = rule.reads(wanted) if rule else frozenset()
    traces = [getattr(o, "_trace", o) if o.__class__ is Value else o for o in operands]
    for position, (operand, trace) in enumerate(zip(operands, traces, strict=True), 1):
        if position in read and trace is not operand:
            trace._array = operand._array
    value._operands = tuple(traces)
    value._trace = trace = _new(Value)
    for slot in ("_grad", "_id", "_rule", "_operands", "_options", "_label", "requires_grad"):
        setattr(trace, slot, getattr(value, slot))
    if hasattr(value, "_remembered"):
        trace._remembered = value._remembered
    trace._array = value._array if 0 in read else _not_kept(value)


def _not_kept(value: Value) -> Any:
    return _Unreadable(
        value, f"{value._named()} was made under lean(), which keeps only the numbers that pullbacks read"
    )


def _remember(node: Value) -> None:
    """Keep what a node's result and operands hold. As after a write, the pass back then asks what has changed."""
    global _latest_write
    node._remembered = _contents(node)
    with _lock:
        _latest_write = max(_latest_write, node._id)


def _own(rule: Rule, y: np.ndarray) -> np.ndarray:
    """A constant remembers no operand, so it may not share memory with one: a write there would go unnoticed."""
    return y.copy() if rule.views else y


def _constant(data: np.ndarray) -> Value:
    """A Value that wants no gradient, of an array that is its own."""
    value: Value = _new(Value)
    value._array = data
    value._grad = None
    value._id = _next_id()
    value._rule = None
    value._operands = ()
    value._options = _NO_OPTIONS
    value._label = ""
    value.requires_grad = False
    return value


def _contents(node: Value) -> tuple[bytes | None, ...]:
    """What a node's result and its operands hold; None for numbers that are not kept, and so read by nobody."""
    held = map(_plain, (node, *node._operands))
    return tuple(None if x.__class__ is _Unreadable else np.asarray(x).tobytes() for x in held)


def _promoted(operands: Operands, rule: Rule) -> Operands:
    """Operands of one dtype, so that pullbacks meet no other: Values, arrays, and numbers where those are weak.

    Floats are promoted as NumPy promotes them; integers, booleans and Python numbers take the dtype of the floats.
    """
    common = None
    for o in operands:
        dtype = o._array.dtype if o.__class__ is Value else o.dtype if o.__class__ is _ndarray else None
        if dtype is None or (dtype is not common and common is not None):
            break
        common = dtype
    else:  # nothing to be done, as nearly always
        return operands
    ready = [o if o.__class__ in _READY else _operand(o, rule.__name__) for o in operands]
    arrays: list[Any] = [o for o in ready if o.__class__ not in _NUMBERS]
    dtypes = {o.dtype for o in arrays if o.dtype.kind == "f"}
    dtype = dtypes.pop() if len(dtypes) == 1 else np.result_type(*dtypes)
    return tuple(_cast(o, dtype) if o.__class__ not in _NUMBERS or not rule.weak else o for o in ready)


def _cast(operand: Any, dtype: np.dtype[Any]) -> Any:
    if operand.__class__ is not Value:
        return np.asarray(operand, dtype)
    return operand if operand._array.dtype is dtype else RULES["astype"](operand, dtype)


_NUMBERS = frozenset({int, float})
_READY = frozenset({int, float, Value})


def _is_operand(operand: Any) -> bool:
    return isinstance(operand, (Value, int, float, list, tuple, np.ndarray, np.generic))


def _operand(operand: Any, op: str) -> Any:
    if operand.__class__ is bool:
        return float(operand)
    if not _is_operand(operand):
        raise TypeError(f"an operand of {op} must be a number, an array or a Value, but got {_told(operand)}")
    return _real(operand, f"an operand of {op}")


def _real(data: Any, what: str) -> np.ndarray:
    """The array of what somebody calls `what`: real numbers, and nothing that an array would lose."""
    check_plain(data, what)
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} must be real numbers, but got {_kind(array)}")
    return array


def _copied(data: Any) -> np.ndarray:
    array = _real(data, "data")
    dtype = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float64
    return np.array(array, dtype=dtype, order="C", subok=False)


def _shown(constant: Any) -> np.ndarray:
    """A constant operand as an array. A Python integer may be too large for any integer dtype, and is a float here."""
    return _copied(float(constant) if constant.__class__ is int else constant)


def _kind(array: np.ndarray) -> str:
    """What an array has in place of real numbers."""
    if array.dtype != object:
        return f"dtype {array.dtype}"
    if any(x.__class__ is Value for x in array.flat):
        return "Values in an array of objects: ndgrad.stack joins them"
    return next((_told(x) for x in array.flat if not isinstance(x, (int, float, np.number))), "dtype object")


def _told(x: Any) -> str:
    return "None" if x is None else f"{reprlib.repr(x)} of type {type(x).__name__}"


def _plain(x: Any) -> Any:
    return x._array if x.__class__ is Value else x


# The pass back.


def _references_of_one_alone() -> int:
    """How many references to an array `backward` counts if nobody else has it. Versions of Python count differently."""
    for _, grad in [(None, np.empty(1))]:
        return getrefcount(grad)
    return 0


# A pair, a variable and an argument: more are counted while a debugger looks on, and would be too many ever after.
_ALONE = min(_references_of_one_alone(), 3)


def backward(values: Iterable[Any], gradients: Iterable[Any] | None = None, *, create_graph: bool = False) -> None:
    """Compute the gradient of several Values at once: that of the sum of all, each times its cotangent.

    One pass does what `Value.backward` would do in one for each. A second derivative times vectors is
    `ndgrad.backward([p.grad for p in params], vectors)` after `loss.backward(create_graph=True)` and `zero_grad()`.

    Args:
        values: where to start, in any order; one may be made of another. Arrays and constants contribute nothing.
        gradients: for each, its cotangent: an array of its shape, or None for ones. By default, ones for all.
        create_graph: whether the gradients are Values that record how they came about.

    Raises:
        RuntimeError: nothing here requires a gradient; or data that a pullback needs was changed meanwhile.
        TypeError: one of the values is no Value and no array.
        ValueError: there are more or fewer cotangents than values, or one has another shape than its value.
    """
    starts = [x if x.__class__ is Value else _constant(_real(x, "a value")) for x in _several(values, "Values")]
    given = [None] * len(starts) if gradients is None else _several(gradients, "cotangents")
    if len(starts) != len(given):
        raise ValueError(f"backward() got {_counted(given, 'cotangent')} for {_counted(starts, 'value')}")
    roots = [(x, x._cotangent(g if create_graph else _plain(g))) for x, g in zip(starts, given, strict=True)]
    roots = [(x, cotangent) for x, cotangent in roots if x.requires_grad]
    if not roots:
        made = ", ".join(x._named() for x in starts) or "an empty sequence"
        raise RuntimeError(f"backward() on constants: nothing that these were made of requires a gradient: {made}")
    _accumulate(roots, create_graph=create_graph)


def _several(things: Any, what: str) -> list[Any]:
    if isinstance(things, Value) or not isinstance(things, Iterable):
        raise TypeError(f"backward() takes a sequence of {what}, but got a {type(things).__name__}")
    return list(things)


def _counted(things: list[Any], what: str) -> str:
    return f"{len(things)} {what}{'s' * (len(things) != 1)}"


def _accumulate(roots: Gradients, *, create_graph: bool) -> None:
    """Pass back, and put down what arrives: at leaves to what they have, at inner nodes in place of it.

    One thread at a time puts down: of two that read a leaf's gradient before either writes, one addition would be lost.
    """
    gradients = pass_back(roots, create_graph=create_graph)
    with _lock:
        with enable_grad() if create_graph else nullcontext():
            leaves = []
            for value, grad in gradients:
                if value._rule is None:
                    alone = getrefcount(grad) == _ALONE  # on a line of its own: a call's other arguments count as well
                    leaves.append((value, value._accumulated(grad, alone=alone)))
        for value, grad in gradients:
            value._grad = grad
        for value, grad in leaves:
            value._grad = grad


def pass_back(
    roots: Iterable[tuple[Value, Any]], *, create_graph: bool = False, targets: Iterable[Value] | None = None
) -> Gradients:
    """Carry cotangents from `roots` to all that these were made of, and say what arrived where. Nothing is changed.

    Nodes are taken latest first. A node is older than whatever was made of it, so all that can reach it has arrived
    when its turn comes: the order of creation is a topological order, and no search for one is needed.

    Args:
        roots: where to start, each with its cotangent: an array, or a Value, of its shape and dtype. Each requires a
            gradient.
        create_graph: whether to compute with Values, which record how the gradients came about.
        targets: where to stop; by default, leaves.
    """
    stops = frozenset(target._id for target in targets or ())
    whole = False
    waiting: list[int] = []  # a heap: the latest node first
    arrived: dict[int, tuple[Value, Any]] = {}  # the nodes that wait, each with what has reached it so far
    own: set[int] = set()  # ids whose cotangent is an array of this pass alone, and may be added to in place
    gradients: Gradients = []
    with np.errstate(all="ignore"), enable_grad() if create_graph else nullcontext():
        for root, cotangent in roots:
            if create_graph and cotangent.__class__ is not Value:
                cotangent = _constant(cotangent)  # noqa: PLW2901
            key = root._id
            if key in arrived:
                cotangent = arrived[key][1] + cotangent  # noqa: PLW2901
            else:
                waiting.append(-key)
            arrived[key] = (root, cotangent)
            if not hasattr(root, "_trace"):
                whole = True  # under lean() inner gradients go as soon as they are spent
        waiting.sort()
        while waiting:
            key = -heappop(waiting)
            pair = arrived.pop(key)
            node, g = pair
            rule = node._rule
            if rule is None or (stops and node._id in stops):
                gradients.append(pair)
                continue
            if whole:
                gradients.append(pair)
            operands = node._operands
            options = node._options
            readable = not (create_graph or key <= _latest_write)
            contributions = []
            if readable and len(operands) == 2 and not options:  # noqa: PLR2004 - most nodes: what is below, spelt out
                a, b = operands
                to_a, to_b = rule.pullbacks
                p = a._array if a.__class__ is Value else a
                q = b._array if b.__class__ is Value else b
                if p is not a and a.requires_grad and to_a is not None:
                    contributions.append((a, to_a(g, node._array, p, q)))
                if q is not b and b.requires_grad and to_b is not None:
                    contributions.append((b, to_b(g, node._array, p, q)))
            elif readable and len(operands) == 1 and not rule.variadic:
                a = operands[0]
                to_a = rule.pullbacks[0]
                if a.requires_grad and to_a is not None:
                    contributions.append((a, to_a(g, node._array, a._array, **options)))
            else:
                y, values, options = _given(node, create_graph=create_graph)
                for operand, pullback in zip(operands, rule.each_pullback(len(operands)), strict=True):
                    if operand.__class__ is Value and operand.requires_grad and pullback is not None:
                        contributions.append((operand, pullback(g, y, *values, **options)))
            for contribution in contributions:
                pair = contribution
                operand, h = pair
                data = operand._array
                if h.shape != data.shape:
                    h = _unbroadcast(h, operand, node)
                    pair = (operand, h)
                if h.dtype is not data.dtype:
                    h = h.astype(data.dtype)
                    pair = (operand, h)
                key = operand._id
                there = arrived.get(key)
                if there is None:
                    arrived[key] = pair
                    heappush(waiting, -key)
                elif key in own:
                    total = there[1]
                    total += h
                else:
                    arrived[key] = (operand, there[1] + h)
                    if not create_graph and data.ndim:
                        own.add(key)
    middle = gradients[len(gradients) // 2][0] if gradients else node
    took = len(gradients) * max(middle._array.nbytes, node._array.nbytes)
    if took >= HEAP:
        keep_heap(took, (_plain(x) for pair in gradients[:: len(gradients) // 64 + 1] for x in pair))
    return gradients


def _given(node: Value, *, create_graph: bool) -> tuple[Any, list[Any], Options]:
    """What the pullbacks of a node are given: its result, its operands, and its options.

    With `create_graph` these are Values, and so is what the forward kept: it is computed again, and records itself.
    What changed since the node was made cannot be read.
    """
    y, *values = [x if create_graph else _plain(x) for x in (node, *node._operands)]
    options = node._options
    if node._id <= _latest_write:
        y, *values = _unreadable_where_changed(node, [y, *values])
    if create_graph and node._rule is not None and node._rule.keep is not None:
        options = {name: option for name, option in options.items() if name != "kept"}
        options["kept"] = node._rule.keep(y, *values, **options)
    return y, values, options


def _unbroadcast(g: Any, operand: Value, node: Value) -> Any:
    """Sum a cotangent over the axes along which its operand was repeated."""
    shape = operand.shape
    extra = g.ndim - len(shape)
    if extra > 0 and g.shape[extra:] == shape:
        return np.add.reduce(g, axis=tuple(range(extra)))
    padded = (1,) * extra + shape
    if extra < 0 or any(m not in (1, n) for n, m in zip(g.shape, padded, strict=True)):
        raise RuntimeError(
            f"the pullback of {node._rule.__name__ if node._rule else '?'} to operand "
            f"{[o is operand for o in node._operands].index(True)} gave shape {g.shape}, "
            f"which broadcasting cannot have made of the operand's shape {shape}"
        )
    axes = tuple(i for i, m in enumerate(padded) if i < extra or (m == 1 and g.shape[i] != 1))
    return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)


class _Unreadable:
    """Stands in a pullback for numbers that cannot be had: it knows their shape, and says why they cannot be read.

    So a pullback that needs only the shape goes on, and one that reads the numbers fails, whatever rule it is of.
    """

    def __init__(self, like: Any, message: str) -> None:
        self.shape, self.ndim, self.size, self.dtype = like.shape, like.ndim, like.size, like.dtype
        self.nbytes = like.size * like.dtype.itemsize
        self._message = message

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(self._message)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(self._message)

    __array__ = __array_ufunc__ = __array_function__ = __apply_rule__ = __getitem__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def _unreadable_where_changed(node: Value, given: list[Any]) -> list[Any]:
    """The result and the operands of a node, as its pullbacks may have them."""
    contents = (node, *node._operands)
    if hasattr(node, "_remembered"):
        now = _contents(node)
        if now == node._remembered:
            return given
        changed = [a is not None and a != b for a, b in zip(now, node._remembered, strict=True)]
    else:
        changed = [x.__class__ is Value and _written_since(x, node._id) for x in contents]
    roles = ["the result", *(f"operand {i}" for i in range(len(node._operands)))]
    return [
        _changed(_plain(x), role + (f" ({x.label})" if getattr(x, "label", "") else ""), node) if stale else v
        for x, v, stale, role in zip(contents, given, changed, roles, strict=True)
    ]


def _changed(data: Any, role: str, node: Value) -> _Unreadable:
    return _Unreadable(
        data if hasattr(data, "shape") else np.asarray(data),
        f"{role} of {node._rule.__name__ if node._rule else '?'} (shape {np.shape(data)}) changed after it was "
        "used, and the gradient needs what it was: run the forward pass again, or change it after backward()",
    )


def _written_since(value: Value, node_id: int) -> bool:
    """Whether the value's numbers, or those it is a view of, were assigned after a node was made."""
    if getattr(value, "_written", 0) > node_id:
        return True
    numbers = value._array
    while True:
        if value._rule is None or not value._rule.views:
            return False
        base = value._operands[0]
        if base.__class__ is not Value:
            return False
        if getattr(base, "_written", 0) > node_id and _may_share(base._array, numbers):
            return True
        for array, when in getattr(base, "_gone", ()):
            if when > node_id and array() is not None and np.may_share_memory(array(), numbers):
                return True
        value = base


def _may_share(a: Any, b: Any) -> bool:
    return _Unreadable in (a.__class__, b.__class__) or np.may_share_memory(a, b)


# From the rows of the rule tables: operators, methods, NumPy's functions.

UFUNCS: dict[tuple[np.ufunc, str], Rule] = {}
FUNCTIONS: dict[Callable[..., Any], Rule] = {}

# Functions that are flat almost everywhere, or about shapes: they give plain results, and no graph.
_FLAT: frozenset[Any] = frozenset({
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.sign, np.floor, np.ceil, np.trunc, np.rint,
    np.logical_not, np.logical_and, np.logical_or,
    np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.all, np.any, np.count_nonzero, np.nonzero,
    np.array_equal, np.allclose, np.isclose, np.zeros_like, np.ones_like, np.full_like, np.empty_like,
    np.result_type, np.may_share_memory, np.shares_memory,
})  # fmt: skip


def _without_rule(name: str) -> TypeError:
    return TypeError(f"{name} has no rule in ndgrad; for its plain result, give it the Values' .data")


def _flat(ufunc: np.ufunc) -> Callable[[Value, Any], Any]:
    """A comparison: plain booleans."""

    def compare(a: Value, b: Any) -> Any:
        return ufunc(a._array, _plain(b)) if _is_operand(b) else NotImplemented

    return compare


def attach(name: str, rule: Rule) -> None:
    """Give `Value` and NumPy's dispatch what a rule's row says."""
    for function in rule.numpy:
        if isinstance(function, np.ufunc):
            UFUNCS[function, "__call__"] = rule
        elif isinstance(getattr(function, "__self__", None), np.ufunc):
            UFUNCS[function.__self__, function.__name__] = rule  # type: ignore[attr-defined]  # np.add.reduce ...
        else:
            FUNCTIONS[function] = rule
    if rule.method:
        method = _unary(rule) if rule.alone else _method(rule)
        method.__doc__ = rule.__doc__
        _set(name, method)
    if rule.operator == "getitem":
        Value.__getitem__ = _method(rule)  # type: ignore[method-assign]
    elif rule.operator and rule.alone:
        _set(f"__{rule.operator}__", _unary(rule))
    elif rule.operator:
        _set(f"__{rule.operator}__", _binary(rule))
        _set(f"__r{rule.operator}__", _reflected(rule))


def _set(name: str, method: Any) -> None:
    """Give `Value` a method that its errors call by its name."""
    method.__name__, method.__qualname__ = name, f"Value.{name}"
    setattr(Value, name, method)


def _method(rule: Rule) -> Callable[..., Any]:
    def method(self: Value, *args: SupportsIndex | Any, **options: Any) -> Any:
        bound = rule.bound(self, *args, **options)
        return [record(rule, *call) for call in bound] if bound.__class__ is list else record(rule, *bound)

    return method


for _name, _rule in RULES.items():
    attach(_name, _rule)
for _name, _ufunc in [("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal),
                      ("gt", np.greater), ("ge", np.greater_equal)]:  # fmt: skip
    setattr(Value, f"__{_name}__", _flat(_ufunc))
