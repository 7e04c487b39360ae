"""Faults of stored gradients: of leaves and inner nodes, assigned by the user, shared with others.

The table knows how gradients are stored. It does not know which programs and sessions show a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.engine import pass_back
from ndgrad.engine.arrays import real_array
from ndgrad.engine.backward import accumulate
from ndgrad.engine.recording import _result
from ndgrad.engine.value import Gradients
from reference.mutation.planting import Change, Fault, attribute, function, getter, method, plain, setter
from reference.mutation.stepwise import Pass, backward_pass

Right = Callable[..., Any]

# Storing gradients.


def _hoarding(right: Right) -> Right:
    """Keep every result alive, until the fault is removed."""
    hoard: list[Any] = []

    def keeping(*args: Any, **options: Any) -> Any:
        hoard.append(right(*args, **options))
        return hoard[-1]

    return keeping


def _nodes(roots: Iterable[tuple[Value, Any]]) -> dict[int, Value]:
    """Return the roots and all their ancestors, by id."""
    found: dict[int, Value] = {}
    waiting = [root for root, _ in roots]
    while waiting:
        node = waiting.pop()
        if node._id not in found:
            found[node._id] = node
            waiting += [operand for operand in node._operands if isinstance(operand, Value)]
    return found


def _inner_accumulate(right: Right) -> Right:
    def put_down(roots: Gradients, *, create_graph: bool) -> None:
        before = [(node, node._grad) for node in _nodes(roots).values() if node._rule is not None and node.has_grad]
        right(roots, create_graph=create_graph)
        for node, old in before:
            node._grad = old if node._grad is old else old + node._grad

    return put_down


class _PassedOnAgain(Pass):
    """An inner node starts with its gradient of the previous pass."""

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        first = self.key(operand) not in self.received
        again = first and operand._rule is not None and operand._grad is not None
        super().arrive(node, operand, h + plain(operand._grad) if again else h)


class _HalfAPass(Pass):
    """A failing pass stores the gradients computed so far."""

    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        try:
            return super().contributions(node, g)
        except RuntimeError:
            for done, got in self.gradients:
                done._grad = done._accumulated(np.asarray(plain(got)), alone=False)
            raise


def _where_missing(change: Callable[[Value, Any, bool, Right], Any]) -> Change:
    """Replace how a leaf stores its first gradient, which others may share: `change(value, grad, alone, right)`."""

    def changed(right: Right) -> Right:
        def accumulated(value: Value, grad: Any, *, alone: bool) -> Any:
            if value.has_grad or isinstance(grad, Value):
                return right(value, grad, alone=alone)
            return change(value, grad, alone, right)

        return accumulated

    return changed


class _Memory:
    """Memory that is reused without clearing; before its first use it happens to be 0."""

    def __init__(self) -> None:
        self._left: dict[Any, np.ndarray] = {}

    def holding(self, value: Value, grad: Any, alone: bool, right: Right) -> Any:  # noqa: FBT001 - it is passed on
        """Add a gradient to the reused memory."""
        if alone:
            return right(value, grad, alone=alone)
        like = (grad.shape, grad.dtype)
        self._left[like] = np.asarray(self._left.get(like, 0.0) + grad)
        return np.array(self._left[like])


def _added_in_place_again(right: Right) -> Right:
    def accumulated(value: Value, grad: Any, *, alone: bool) -> Any:
        if not value.has_grad:
            return right(value, grad, alone=alone)
        value._grad += grad
        return value._grad

    return accumulated


def _forgotten(right: Right) -> Right:
    def accumulated(value: Value, grad: Any, *, alone: bool) -> Any:
        value.zero_grad()
        return right(value, grad, alone=alone)

    return accumulated


def _twice_where_there_is_one(right: Right) -> Right:
    return lambda value, grad, *, alone: right(value, grad + grad if value.has_grad else grad, alone=alone)


def _zeros(value: Value) -> None:
    value._grad = np.zeros(value.shape, value.dtype)


def _zero_is_missing(right: Right) -> Right:
    def write(value: Value, grad: Any) -> None:
        is_zero = grad is not None and not isinstance(grad, Value) and not np.ndim(grad) and not grad
        right(value, None if is_zero else grad)

    return write


def _assigned_shared(name: str) -> Change:
    """Do not copy an array of the right dtype that is assigned to `name`."""

    def change(right: Right) -> Right:
        def write(value: Value, assigned: Any) -> None:
            before = plain(getattr(value, name))
            right(value, assigned)
            if (
                isinstance(assigned, np.ndarray)
                and assigned is not before
                and (assigned.shape, assigned.dtype) == (value.shape, value.dtype)
            ):
                setattr(value, name, assigned)

        return write

    return change


def _writable(right: Right) -> Right:
    def read(value: Value) -> Any:
        inner = value._rule is not None and isinstance(value._grad, (np.ndarray, np.generic))
        return np.asarray(value._grad).view() if inner else right(value)

    return read


def _cotangent_of_any_shape(right: Right) -> Right:
    def cotangent(value: Value, gradient: Any) -> Any:
        if gradient is None or isinstance(gradient, Value):
            return right(value, gradient)
        return right(value, np.broadcast_to(real_array(gradient, "cotangent"), value.shape))

    return cotangent


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     its plant

    # Storing gradients.
    Fault("b193-engine",                   "each backward pass stays in memory, with its graph",                            "huggingface/candle#1243",    (),
          function(pass_back, _hoarding)),
    Fault("b196-engine",                   "a node also propagates its gradient of the previous pass",                      "karpathy/micrograd#53",      (),
          backward_pass(_PassedOnAgain)),
    Fault("grad-inner-accumulates",        "the gradient of an inner node accumulates over passes",                         "ours",                       (),
          function(accumulate, _inner_accumulate)),
    Fault("grad-half-a-pass",              "a pass that fails leaves the gradients it has computed so far",                 "ours",                       (),
          backward_pass(_HalfAPass)),
    Fault("memory-hoarded",                "the engine keeps a list of all nodes",                                          "pytorch/pytorch#1346",       (),
          function(_result, _hoarding)),

    # Gradients of leaves, and assignments by the user.
    Fault("b006-engine",                   "the gradient of a leaf of shape () is a NumPy scalar, not an array",            "rsokl/MyGrad#373",           (),
          method(Value, "_accumulated", _where_missing(lambda value, grad, alone, right: np.array(grad)[()]))),
    Fault("b197-engine",                   "a leaf's gradient is added to memory that was not set to 0",                    "torch/nn#792",               (),
          method(Value, "_accumulated", lambda right: _where_missing(_Memory().holding)(right))),
    Fault("grad-in-place",                 "a second pass adds in place to the array that the user holds from the first",   "ours",                       (),
          method(Value, "_accumulated", _added_in_place_again)),
    Fault("grad-replaced",                 "a second pass replaces the gradient instead of adding to it",                   "folklore",                   (),
          method(Value, "_accumulated", _forgotten)),
    Fault("grad-thrice",                   "the contribution of a second pass counts twice",                                "ours",                       (),
          method(Value, "_accumulated", _twice_where_there_is_one)),
    Fault("grad-shared",                   "leaves share their gradient's array",                                           "ours",                       (),
          method(Value, "_accumulated", _where_missing(lambda value, grad, alone, right: grad))),
    Fault("grad-cleared-to-0",             "zero_grad leaves zeros, which an optimizer takes for a gradient",               "folklore",                   (),
          attribute(Value, "zero_grad", _zeros)),
    Fault("grad-0-is-missing",             "`p.grad = 0.0` makes the gradient missing",                                     "ours",                       (),
          setter(Value, "grad", _zero_is_missing)),
    Fault("grad-assigned-shared",          "an array assigned as a gradient is not copied",                                 "ours",                       (),
          setter(Value, "grad", _assigned_shared("_grad"))),
    Fault("grad-inner-writable",           "an inner node's gradient is writable, and shared with others",                  "ours",                       (),
          getter(Value, "grad", _writable)),
    Fault("cotangent-broadcast",           "a cotangent of another shape is broadcast instead of refused",                  "ours",                       (),
          method(Value, "_cotangent", _cotangent_of_any_shape)),
    Fault("assigned-shares",               "an array assigned as data is not copied",                                       "ours",                       (),
          setter(Value, "data", _assigned_shared("_array"))),
)
# fmt: on
