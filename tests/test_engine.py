"""The engine: what a Value is, what is recorded, and what gradients the backward pass computes."""

from __future__ import annotations

import copy
import gc
import itertools
import operator
import pickle
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ndgrad
from ndgrad import check_writes, enable_grad, no_grad
from ndgrad.engine import Value
from ndgrad.rules import RULES

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Function: TypeAlias = Callable[..., Any]

FLOATS = [np.float16, np.float32, np.float64, np.longdouble]
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


def as_bytes(*arrays: Any) -> list[tuple[Any, ...]]:
    """Return the bytes of some arrays, for bitwise comparison."""
    return [(a.shape, a.dtype, a.tobytes()) for a in map(np.asarray, arrays)]


def short(*shape: int) -> Array:
    """Return different numbers of 0.5 and more, which are valid bases of powers."""
    return np.arange(1.0, 1 + int(np.prod(shape))).reshape(shape) / 2


# Construction.


def test_data_is_copied() -> None:
    """Later writes to the array do not change the Value."""
    array = np.array([1.0, 2.0])
    x = Value(array)
    array[0] = 9
    assert x.data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_keep_their_dtype(dtype: type) -> None:
    """Arrays of floats and NumPy's floats keep their dtype."""
    assert Value(np.array([1, 2], dtype)).dtype == dtype
    assert Value(dtype(3)).dtype == dtype
    assert Value(dtype(3)).grad.dtype == dtype


def test_gradients_have_the_dtype_of_numbers_in_foreign_byte_order() -> None:
    """Arrays in foreign byte order give gradients of native dtype, after one contribution and after two."""
    x = Value(np.array([1.0, 2.0], ">f8"))
    y = (x * x).sum()
    for root, slopes in ((y, [2.0, 4.0]), (y + x.sum(), [3.0, 5.0])):
        x.zero_grad()
        root.backward()
        assert x.grad.dtype == x.dtype
        assert x.grad.tolist() == slopes


@pytest.mark.parametrize(
    "data", [3, 3.0, True, [1, 2], [[True], [False]], np.arange(3), np.uint8(7), np.array(0, bool), range(3)]
)
def test_other_numbers_become_float64(data: Any) -> None:
    """Integers, booleans, Python floats, and lists of them become float64."""
    x = Value(data)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x.data, np.array(data, np.float64))


@pytest.mark.parametrize("data", ["1", None, 1j, [1, "2"], object(), np.array("2020", "datetime64[Y]"), {1}, [None]])
def test_what_is_no_real_number_is_refused(data: Any) -> None:
    """Anything else than real numbers is an error, also where NumPy would make an array of it."""
    with pytest.raises(TypeError, match="data must be real numbers, but got "):
        Value(data)


def test_a_list_of_values_is_an_error() -> None:
    """A list of Values is an error, since it would lose their graph. The error says what to use instead."""
    x, objects = Value(1.0), np.empty(2, object)
    objects[0] = x
    for data in (x, [x, x], [[x], [x]], objects):
        with pytest.raises(TypeError, match=r"ndgrad\.stack"):
            Value(data)


@pytest.mark.parametrize("array", [np.ones((2, 3)).T, np.ones(4)[::-2], np.broadcast_to(1.0, (2, 2))])
def test_any_array_becomes_a_plain_one(array: Array) -> None:
    """Data of any memory layout becomes a plain, C-ordered, writable array of its own."""
    data = Value(array).data
    assert type(data) is np.ndarray
    assert data.flags.c_contiguous
    assert data.flags.owndata
    assert data.flags.writeable


def test_names_and_places_of_the_arguments() -> None:
    """The signature is `Value(data, label, requires_grad)`, with defaults for both options."""
    x = Value(1.0, "x", False)  # noqa: FBT003 - the position is tested
    assert (x.label, x.requires_grad) == ("x", False)
    assert (Value(1.0).label, Value(1.0).requires_grad) == ("", True)
    assert Value(data=2.0, label="y", requires_grad=True).item() == 2.0


# Attributes.


def test_attributes_of_the_array() -> None:
    """Shape, dtype and the like are those of the array."""
    x = Value(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3), 2, 6, 2)
    assert x.dtype == np.float32
    assert x.T.data.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert Value(np.arange(8).reshape(2, 2, 2)).mT.data.tolist() == [[[0, 2], [1, 3]], [[4, 6], [5, 7]]]


def test_operands_and_op() -> None:
    """`_prev` has the operands in order, and `_op` the op's short name. For a leaf they are empty."""
    a, b = Value(1.0), Value(2.0)
    assert [o is x for o, x in zip((b - a)._prev, (b, a), strict=True)] == [True, True]
    assert (a * a)._prev[0] is (a * a)._prev[1] is a
    joined = ndgrad.stack([a, b, a])
    assert [o is x for o, x in zip(joined._prev, (a, b, a), strict=True)] == [True] * 3
    results = [a + b, a - b, a * b, a / b, a**b, -a, a.tanh(), a.sum(), Value([1.0])[0], joined]
    assert [y._op for y in results] == ["+", "-", "*", "/", "**", "neg", "tanh", "sum", "[]", "stack"]
    assert (a._prev, a._op) == ((), "")


@pytest.mark.parametrize("constant", [2, 2.5, True, 10**30, np.float64(3.0), np.array([1, 2]), [1.0, 2.0]])
def test_constants_among_the_operands(constant: Any) -> None:
    """Constants among the operands appear as Values of floats without a gradient, the same objects each time."""
    y = Value([1.0, 2.0]) * constant
    _, shown = y._prev
    assert type(shown) is Value
    assert (shown.requires_grad, shown._prev) == (False, ())
    assert shown.dtype == np.float64
    np.testing.assert_array_equal(shown.data, np.array(constant, np.float64))
    assert y._prev[1] is shown


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [lambda x: x * 0.1, lambda x: 2**x, lambda x: x**3, lambda x: x / np.array(3)])
def test_reading_operands_changes_nothing(make: Function, dtype: type) -> None:
    """Reading `_prev` does not change the gradients, by a single bit, and they can be differentiated."""
    gradients = []
    for look in (False, True):
        x = Value(np.linspace(0.1, 3, 50).astype(dtype))
        y = make(x)
        assert len(y._prev if look else y._operands) == 2
        y.backward(np.linspace(-1, 1, 50))
        gradients.append(as_bytes(x.grad))
        y.backward(create_graph=True)
    assert gradients[0] == gradients[1]


def test_item_gives_the_number() -> None:
    """`item` returns a Python float for any shape with one entry, and raises an error for more."""
    assert [type(Value(x).item()) for x in (2.5, [2.5], [[2.5]])] == [float] * 3
    assert Value(np.float32(0.1)).item() == float(np.float32(0.1))
    with pytest.raises(ValueError, match="size 1"):
        Value([1.0, 2.0]).item()


def test_float_and_bool() -> None:
    """`float` and `bool` work for a single entry; for several they are errors."""
    assert float(Value(2.5, requires_grad=False)) == 2.5
    assert bool(Value(0.5))
    assert not Value([[0.0]])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Value([1.0, 2.0]))


def test_length_iteration_and_membership() -> None:
    """Length, iteration over rows with gradients, and membership work; a 0-d Value has neither."""
    x = Value([[1.0, 2.0], [3.0, 4.0]])
    first, second = x  # by __iter__
    (first * 10 + second).backward([1.0, 2.0])
    assert x.grad.tolist() == [[10.0, 20.0], [1.0, 2.0]]
    assert operator.contains(Value([1.0, 2.0]), 2.0)  # type: ignore[arg-type]  # by __iter__, too
    assert list(Value(np.zeros((0, 2)))) == []
    for ask in (len, iter, list):
        with pytest.raises(TypeError, match=r"0-d|unsized"):
            ask(Value(1.0))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (2.0, "Value(data=2.0)"),
        ([1.0, 2.5], "Value(data=[1. , 2.5])"),
        ([[1, 2], [3, 4]], "Value(data=[[1., 2.],\n            [3., 4.]])"),
        (np.float32(0.1), "Value(data=0.1, dtype=float32)"),
        (np.array([1, 2], np.float16), "Value(data=[1., 2.], dtype=float16)"),
        ([], "Value(data=[])"),
    ],
)
def test_repr(data: Any, text: str) -> None:
    """`repr` shows the data, and the dtype unless it is float64."""
    assert repr(Value(data)) == text
    assert str(Value(data, label="x")) == text


def test_format() -> None:
    """A format applies to a single entry; without a format the result is that of `repr`."""
    x = Value(2.5)
    assert f"{x:.3f} {x} {x!r}" == "2.500 Value(data=2.5) Value(data=2.5)"
    assert f"{Value([0.125]):.1e}" == "1.2e-01"
    with pytest.raises(ValueError, match="array of size 1"):
        f"{Value([1.0, 2.0]):.3f}"


def test_equality_is_elementwise_and_the_hash_is_identity() -> None:
    """Values that are equal stay distinct in sets, as keys, and as nodes of a graph."""
    a, b = Value(2.0), Value(2.0)
    assert bool(a == b)
    assert len({a, b}) == 2
    assert {a: 1, b: 2}[a] == 1
    (a * b * b).backward()
    assert (a.grad, b.grad) == (4.0, 8.0)


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_leaves_of_their_own(made: Callable[[Value], Value]) -> None:
    """Copies have the data, the label and `requires_grad`, and no gradient."""
    x = Value(np.array([1.0, 2.0], np.float32), "x")
    (x * x).backward()
    for original in (x, (x * x).detach(), Value(3.0, "c", requires_grad=False)):
        twin = made(original)
        assert as_bytes(twin.data) == as_bytes(original.data)
        assert (twin.label, twin.requires_grad) == (original.label, original.requires_grad)
        assert (twin._prev, twin._op, twin.has_grad) == ((), "", False)
        assert not np.shares_memory(twin.data, original.data)


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, pickle.dumps, lambda x: copy.deepcopy({"loss": [x]})])
def test_a_result_is_not_copied(made: Callable[[Value], Value]) -> None:
    """Copying a result is an error, since the copy would be a leaf. The error says what to write instead."""
    y = Value([1.0, 2.0]) * 3
    y.label = "y"
    with pytest.raises(TypeError, match=r"y \(made by multiply, shape \(2,\)\) is part of a graph, .*\.detach\(\)"):
        made(y)


def test_a_deep_copy_keeps_what_was_shared() -> None:
    """A deep copy of a list with the same Value twice has one Value twice."""
    x = Value(1.0)
    a, b = copy.deepcopy([x, x])
    assert a is b is not x


# Constants.


@pytest.mark.parametrize("constant", [3.0, 3, np.array([3.0]), [3.0], Value([3.0]).detach(), np.float32(3)])
def test_constants_get_no_gradient(constant: Any) -> None:
    """Numbers, arrays and detached Values get no gradient; the other operand gets its own."""
    x = Value([2.0])
    y = x * constant
    y.backward([5.0])
    assert x.grad.tolist() == [15.0]
    assert not y._prev[1].has_grad


def test_detached() -> None:
    """`detach` returns a constant with a copy of the data."""
    x = Value([1.0, 2.0])
    y = (x * x).detach()
    assert (y.requires_grad, y._prev, y.data.tolist()) == (False, (), [1.0, 4.0])
    z = x.detach()
    z.data[0] = 9
    assert x.data.tolist() == [1.0, 2.0]


def test_nothing_is_computed_for_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pullbacks to constants are not called, and results of constants alone are constants."""

    def forbidden(*_: Any) -> Any:
        raise AssertionError("the pullback to a constant was called")

    multiply = RULES["multiply"]
    monkeypatch.setattr(multiply, "pullbacks", (multiply.pullbacks[0], forbidden))
    x, c = Value([2.0]), Value([3.0], requires_grad=False)
    (x * c).backward()
    (x * np.array([3.0])).backward()
    assert x.grad.tolist() == [6.0]
    assert (c * c).requires_grad is False
    assert (c * c)._prev == ()


def test_a_constant_root_is_an_error() -> None:
    """`backward` on a constant raises, and the error describes the constant."""
    c = Value([1.0], "c", requires_grad=False)
    for root, description in ((c, "c (a leaf"), (c + 1, "a Value (a leaf"), (Value(2.0).detach(), "a Value")):
        with pytest.raises(RuntimeError, match=re.escape(f"backward() on a constant: {description}")):
            root.backward()


# Mixed dtypes.


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weak", [2, 0.1, True])
@pytest.mark.parametrize("operation", BINARY[:-1])
def test_python_numbers_are_weak(operation: Function, weak: Any, dtype: type) -> None:
    """Python numbers take the dtype of the Value, on either side, forward and backward."""
    for operands in ((Value(dtype(1.5)), weak), (weak, Value(dtype(1.5)))):
        y = operation(*operands)
        y.backward()
        (x,) = [o for o in operands if isinstance(o, Value)]
        assert y.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("other", [np.int64(2), np.arange(1, 3), np.array([True, False]), np.uint8(3), [1, 2]])
def test_whole_numbers_and_truths_take_the_floats_dtype(other: Any, dtype: type) -> None:
    """Beside a float32, an array of int64 does not give a float64."""
    x = Value(np.array([1.5, 2.5], dtype))
    for y in (x + other, other * x, x - other, ndgrad.maximum(x, other), ndgrad.concatenate([x, np.atleast_1d(other)])):
        assert y.dtype == dtype


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(FLOATS, 2)))
@pytest.mark.parametrize("operation", [operator.mul, operator.matmul, ndgrad.maximum, lambda *xs: ndgrad.stack(xs)])
def test_floats_are_promoted(operation: Function, one: type, other: type) -> None:
    """The result has the wider dtype; each operand gets a gradient of its own dtype, and is unchanged."""
    a, b = Value(np.array([1.5, 2.5], one)), Value(np.array([2.0, 0.5], other))
    y = operation(a, b)
    y.backward(np.ones(y.shape))
    assert y.dtype == np.promote_types(one, other)
    assert a.dtype == a.grad.dtype == one
    assert b.dtype == b.grad.dtype == other
    assert a.grad.any()
    assert b.grad.any()


def test_a_promoted_operand_is_computed_with_in_full() -> None:
    """A float32 beside a float64 is computed in float64, and its gradient is rounded once, at the end."""
    third = np.float32(1 / 3)
    x, w = Value(third), Value(0.1)
    y = x * w
    y.backward(1 / 7)
    assert y.item() == float(third) * 0.1
    assert w.grad == float(third) * (1 / 7)
    assert x.grad == np.float32(0.1 * (1 / 7))


def test_numpys_double_numbers_are_no_weak_ones() -> None:
    """`np.float64(2)` beside a float32 gives a float64, as in NumPy."""
    x = Value(np.float32(0.1))
    assert (x * np.float64(2)).dtype == np.float64
    assert (np.float64(2) * x).dtype == np.float64


# Operators.

OTHERS = [
    lambda a: Value(a),  # noqa: PLW0108 - as for the others
    lambda a: a,
    lambda a: a.tolist(),
    lambda a: Value(a).detach(),
    lambda a: np.asfortranarray(a),  # noqa: PLW0108
]


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("other", OTHERS)
def test_operators_on_either_side(operation: Function, other: Function) -> None:
    """Operators with a Value, an array or a list on either side agree with PyTorch, with operands in order."""
    a, b = short(2, 2), short(2, 2)[::-1] + 1
    g = np.array([[1.0, -2.0], [3.0, 0.5]])
    for left, right, wanted in ((Value(a), other(b), 0), (other(a), Value(b), 1)):
        y = operation(left, right)
        assert type(y) is Value
        y.backward(g)
        tensors = [torch.tensor(n, requires_grad=True) for n in (a, b)]
        expected = operation(*tensors)
        (gradient,) = torch.autograd.grad(expected, tensors[wanted], torch.tensor(g))
        # A logarithm and a power, each accurate to 2 ULP.
        np.testing.assert_allclose(y.data, expected.detach(), rtol=1e-15)
        np.testing.assert_allclose((left, right)[wanted].grad, gradient, rtol=1e-15)


@pytest.mark.parametrize("operation", BINARY[:-1])
@pytest.mark.parametrize("number", [3, 2.5, True, np.float64(2.5), np.int64(3), np.array(2.5)])
def test_operators_with_a_number(operation: Function, number: Any) -> None:
    """Operators with Python's and NumPy's numbers, on either side, give a Value."""
    data = np.array([0.5, 2.0])
    for reflected in (False, True):
        x, t = Value(data), torch.tensor(data, requires_grad=True)
        y = operation(number, x) if reflected else operation(x, number)
        expected = operation(float(number), t) if reflected else operation(t, float(number))
        assert type(y) is Value
        y.backward([2.0, -1.0])
        (gradient,) = torch.autograd.grad(expected, t, torch.tensor([2.0, -1.0], dtype=torch.float64))
        np.testing.assert_allclose(y.data, expected.detach(), rtol=1e-15)
        np.testing.assert_allclose(x.grad, gradient, rtol=1e-15)


@pytest.mark.parametrize("operation", [operator.neg, operator.pos, operator.abs])
def test_operators_of_one_operand(operation: Function) -> None:
    """`-x`, `+x` and `abs(x)` are nodes of the graph."""
    x = Value([1.5, -2.0])
    y = operation(x)
    y.backward([1.0, 10.0])
    assert y.data.tolist() == operation(np.array([1.5, -2.0])).tolist()
    assert x.grad.tolist() == {"neg": [-1.0, -10.0], "pos": [1.0, 10.0], "abs": [1.0, -10.0]}[operation.__name__]
    assert y is not x


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("other", ["2", None, 1j, {2}, {"a": 1}, object(), np.array(1j), np.array(["a"]), [None], len])
def test_operators_with_what_is_no_number(operation: Function, other: Any) -> None:
    """An operand of another type is a TypeError, on either side."""
    with pytest.raises(TypeError):
        operation(Value([2.0]), other)
    with pytest.raises(TypeError):
        operation(other, Value([2.0]))


@pytest.mark.parametrize("exponent", [2, 2.0, np.array([2.0]), Value([2.0]), np.float32(2), True + True])
def test_powers(exponent: Any) -> None:
    """Exponents may be numbers, arrays or Values; `pow` with three arguments is an error."""
    x: Any = Value([3.0])
    (x**exponent).backward()
    assert x.grad.tolist() == [6.0]
    with pytest.raises(TypeError):
        pow(x, exponent, 5)


@pytest.mark.parametrize("operation", [operator.floordiv, operator.mod, operator.and_, operator.lshift, divmod])
def test_there_are_no_other_operators(operation: Function) -> None:
    """Operators without a slope, or for integers only, are TypeErrors."""
    for operands in ((Value([3.0]), 2), (Value([3.0]), np.array([2.0])), (np.array([2.0]), Value([3.0]))):
        with pytest.raises(TypeError):
            operation(*operands)


def test_augmented_assignment_makes_a_new_value() -> None:
    """`x += 1` makes a new Value, and does not change the old one."""
    leaf = Value([1.0, 2.0])
    y = leaf * leaf
    for name in ("iadd", "isub", "imul", "itruediv", "ipow"):
        x = getattr(operator, name)(leaf, 2)
        assert type(x) is Value
        assert x is not leaf
    y.backward()
    assert leaf.data.tolist() == [1.0, 2.0]
    assert leaf.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("other", [Value([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), [1, 2, 3], 2, 2.0, np.float64(2)])
def test_comparisons(comparison: Function, other: Any) -> None:
    """Comparisons are elementwise, on either side, and give plain booleans."""
    data = np.array([3.0, 2.0, 1.0])
    plain = other.data if isinstance(other, Value) else other
    for ours, wanted in ((comparison(Value(data), other), comparison(data, plain)),
                         (comparison(other, Value(data)), comparison(plain, data))):  # fmt: skip
        assert type(ours) is np.ndarray
        np.testing.assert_array_equal(ours, wanted, strict=True)


def test_comparisons_with_what_is_no_number() -> None:
    """A Value is not equal to other types, and ordering with them is an error."""
    x = Value([1.0])
    for other in (None, "1", object()):
        assert (x == other) is False
        assert (x != other) is True
        with pytest.raises(TypeError):
            x < other  # noqa: B015


def test_a_mask_by_comparison() -> None:
    """`x * (x > 0)` has the slope of its first factor alone."""
    x = Value([-1.0, 3.0])
    (x * (x > 0)).backward([5.0, 7.0])
    assert x.grad.tolist() == [0.0, 7.0]


# NumPy's functions.


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("array", [np.full((2, 2), 2.0), np.full((2, 2), 2), np.full((2, 2), 2, np.float32)])
def test_an_array_on_the_left(operation: Function, array: Array) -> None:
    """The result is a single Value, never an array of objects."""
    y = operation(array, Value(short(2, 2)))
    assert type(y) is Value
    np.testing.assert_array_equal(y.data, operation(array, short(2, 2)))


def test_methods_of_ufuncs_have_numpys_default_axis() -> None:
    """The default axis of ufunc methods is the first, while `np.sum` and `np.max` reduce all axes."""
    x = Value([[1.0, 5.0], [3.0, 4.0]])
    calls: list[tuple[Function, dict[str, Any]]] = [(np.add.accumulate, {}), (np.add.accumulate, {"axis": 1})]
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum):
        calls += [(ufunc.reduce, {}), (ufunc.reduce, {"axis": 1}), (ufunc.reduce, {"axis": None})]
    for function, options in calls:
        y = function(x, **options)
        assert type(y) is Value
        assert y.data.tolist() == function(x.data, **options).tolist()


@pytest.mark.parametrize(
    "operation",
    [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imatmul],
)
def test_an_array_is_not_written_into(operation: Function) -> None:
    """`array += value` is an error with a reason, and does not change the array."""
    array = short(2, 2)
    with pytest.raises(TypeError, match=r"cannot write into an array \(out=\) when an operand is a Value"):
        operation(array, Value(short(2, 2)))
    assert array.tolist() == short(2, 2).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.exp(x, out=out),
        lambda x, out: np.add(x, 1, out),
        lambda x, out: np.sign(x, out=out),
        lambda x, out: np.add.reduce(x, out=out),
        lambda x, out: np.sum(x, out=out),
        lambda x, out: np.concatenate([x, x], out=out),
        lambda x, out: np.clip(x, 0, 1, out=out),
    ],
)
def test_out_is_refused(call: Function) -> None:
    """`out=` is an error for ufuncs, their methods and all other functions."""
    out = np.zeros(2)
    with pytest.raises(TypeError, match="out"):
        call(Value([1.0, 2.0]), out)
    assert out.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("method", ["asarray", "array", "asanyarray", "ascontiguousarray"])
def test_a_value_does_not_become_an_array_by_itself(method: str) -> None:
    """The conversion of a Value or a list of Values to an array is an error, which says what to do."""
    for x in (Value([1.0]), [Value(1.0)], [Value([1.0]), Value([2.0])]):
        with pytest.raises(TypeError, match=r"use \.data for the array, or ndgrad\.stack"):
            getattr(np, method)(x)


@pytest.mark.parametrize("function", [np.sum, np.mean, np.max, np.exp, np.linalg.norm])
def test_values_in_a_list_do_not_become_an_array_either(function: Function) -> None:
    """Functions that convert a list of Values to an array raise the same error."""
    with pytest.raises(TypeError, match=r"ndgrad\.stack|no rule"):
        function([Value(1.0), Value(2.0)])


def test_the_sum_of_a_list() -> None:
    """Python's `sum` starts with 0, and adds Values."""
    x, y = Value([1.0, 2.0]), Value([3.0, 4.0])
    total = sum([x, y, x])
    assert isinstance(total, Value)
    total.backward([1.0, 10.0])
    assert total.data.tolist() == [5.0, 8.0]
    assert x.grad.tolist() == [2.0, 20.0]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (np.arctan, "arctan"),
        (np.diff, "diff"),
        (np.linalg.inv, "linalg.inv"),
        (np.fft.rfft, "fft.rfft"),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), "lib.stride_tricks.sliding_window_view"),
        (np.sort, "sort"),
        (lambda x: np.einsum("ij->", x), "einsum"),
        (np.maximum.accumulate, "maximum.accumulate"),
        (lambda x: np.multiply.outer(x, x), "multiply.outer"),
        (lambda x: np.add.at(np.zeros(2), [0, 1], x), "add.at"),
        (lambda x: np.divmod(x, 2), "divmod"),
        (lambda x: np.equal.outer(x, x), "equal.outer"),
    ],
)
def test_functions_without_a_rule(call: Function, name: str) -> None:
    """A function without a rule is an error, which names it and says what to do."""
    with pytest.raises(TypeError, match=rf"np\.{re.escape(name)} has no rule in ndgrad; .*\.data"):
        call(Value([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize(
    "function",
    [
        np.sign, np.floor, np.ceil, np.trunc, np.rint, np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_not,
        np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.all, np.any, np.count_nonzero, np.nonzero,
        np.zeros_like, np.ones_like, lambda x: np.argmax(x, axis=0), lambda x: np.full_like(x, 3),
        lambda x: np.array_equal(x, x), lambda x: np.allclose(x, 1), lambda x: np.isclose(1, x),
        lambda x: np.result_type(x, np.float32), lambda x: np.greater(x, 0), lambda x: np.logical_and(x, 1),
        lambda x: np.isclose(a=x, b=x), lambda x: np.empty_like(x).shape,
    ],
)  # fmt: skip
def test_flat_functions_give_plain_results(function: Function) -> None:
    """Functions that are flat almost everywhere, and those of shapes, return the result for the data."""
    data = np.array([[1.5, -0.0], [np.nan, -np.inf]])
    ours, wanted = function(Value(data)), function(data)
    assert type(ours) is type(wanted)
    np.testing.assert_array_equal(ours, wanted)


# The attribute `grad`.


def test_before_anything_arrives() -> None:
    """A missing gradient reads as read-only zeros, and `has_grad` distinguishes it from zeros that were computed."""
    x = Value(np.ones((2, 3), np.float32))
    assert not x.has_grad
    assert as_bytes(x.grad) == as_bytes(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        x.grad[0] = 1
    (x * 0).backward()
    assert x.has_grad
    assert as_bytes(x.grad) == as_bytes(np.zeros((2, 3), np.float32))


def test_zeroing() -> None:
    """`zero_grad()` removes the gradient; `grad = 0.0` assigns zeros."""
    x = Value([1.0, 2.0])
    x.backward()
    x.zero_grad()
    assert not x.has_grad
    x.grad = 0.0
    assert x.has_grad
    assert x.grad.tolist() == [0.0, 0.0]
    x.backward()
    assert x.grad.tolist() == [1.0, 1.0]
    x.grad = None
    assert not x.has_grad


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_assigned_gradient_is_a_copy(dtype: type) -> None:
    """An assigned gradient is copied to the Value's shape and dtype, and accumulates from then on."""
    x = Value(np.array([1.0, 2.0], dtype))
    array = np.array([3.0, 4.0])
    x.grad = array
    array[:] = 9
    assert as_bytes(x.grad) == as_bytes(np.array([3.0, 4.0], dtype))
    x.backward([1.0, 10.0])
    assert x.grad.tolist() == [4.0, 14.0]
    x.grad *= 2
    assert x.grad.tolist() == [8.0, 28.0]
    x.grad = [5, 6]
    assert x.grad.tolist() == [5.0, 6.0]


@pytest.mark.parametrize("shape", [(3,), (1,), (2, 1), (1, 2)])
def test_a_gradient_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """A gradient of another shape is an error with both shapes, also if it is a Value."""
    x = Value([1.0, 2.0])
    with pytest.raises(ValueError, match=re.escape(f"shape (2,), but got shape {shape}")):
        x.grad = np.ones(shape)
    with pytest.raises(ValueError, match=re.escape(f"shape (2,), but got {shape}")):
        x.grad = Value(np.ones(shape))
    assert not x.has_grad


@pytest.mark.parametrize("grad", ["1", 1j, object(), [None]])
def test_a_gradient_that_is_no_number_is_refused(grad: Any) -> None:
    """A gradient that is not made of real numbers is an error."""
    with pytest.raises(TypeError, match="real numbers"):
        Value([1.0]).grad = grad


# The backward pass.


def test_the_neuron_of_the_article() -> None:
    """The neuron of the article, with two inputs, two weights, a bias and tanh, has the numbers printed there."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    n = x1 * w1 + x2 * w2 + b
    o = n.tanh()
    o.backward()
    assert o.item() == pytest.approx(0.7071, abs=5e-5)  # it prints four digits
    for value, grad in ((n, 0.5), (b, 0.5), (x1, -1.5), (w1, 1.0), (x2, 0.5), (w2, 0.0)):
        assert value.grad == pytest.approx(grad, abs=1e-15)
    e = (2 * n).exp()
    again = (e - 1) / (e + 1)
    again.backward()
    assert again.item() == pytest.approx(o.item(), rel=1e-15)
    assert x1.grad == pytest.approx(2 * -1.5, abs=1e-14)  # the second pass accumulated


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
def test_without_a_cotangent_it_starts_from_ones(shape: tuple[int, ...]) -> None:
    """The default cotangent is ones, for any shape."""
    x = Value(np.full(shape, 3.0))
    (x * x).backward()
    assert as_bytes(x.grad) == as_bytes(np.full(shape, 6.0))


@pytest.mark.parametrize("cotangent", [[1.0, -2.0], (1, -2), np.array([1, -2]), np.array([1, -2], np.float32)])
def test_with_a_cotangent(cotangent: Any) -> None:
    """The cotangent may be an array or a list, of any numeric dtype, of the result's shape."""
    x = Value([3.0, 4.0])
    (x * x).backward(cotangent)
    assert as_bytes(x.grad) == as_bytes(np.array([6.0, -16.0]))
    x.zero_grad()
    (x * x).backward(gradient=cotangent)
    assert as_bytes(x.grad) == as_bytes(np.array([6.0, -16.0]))


def test_a_value_for_a_cotangent() -> None:
    """Without `create_graph`, a Value as cotangent is used as an array, and gradients are arrays."""
    x = Value([3.0, 4.0])
    y = x * x
    y.backward(Value([1.0, -2.0]))
    assert type(x.grad) is np.ndarray
    assert x.grad.tolist() == [6.0, -16.0]
    assert type(y.grad) is np.ndarray


@pytest.mark.parametrize("shape", [(3,), (2, 1), (), (1, 2)])
def test_a_cotangent_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """A cotangent of another shape is an error with both shapes, even if it would broadcast."""
    x = Value([1.0, 2.0])
    y = x * x
    says = re.escape(f"cotangent has shape {shape}, but the value has shape (2,)")
    for cotangent in (np.ones(shape), Value(np.ones(shape))):
        with pytest.raises(ValueError, match=says):
            y.backward(cotangent)
    assert not x.has_grad
    with pytest.raises(TypeError, match="real numbers"):
        y.backward(["a", "b"])


def test_leaves_accumulate() -> None:
    """The gradients of leaves accumulate over passes of one graph and of several, exactly, until they are zeroed."""
    x = Value([0.1, 0.3])
    y = x.sin() * x
    y.backward([0.7, -0.3])
    once = x.grad.copy()
    y.backward([0.7, -0.3])
    assert as_bytes(x.grad) == as_bytes(once + once)
    (x * 3).backward()
    assert as_bytes(x.grad) == as_bytes(once + once + 3)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_gradients_are_arrays(shape: tuple[int, ...]) -> None:
    """Gradients are arrays of the operand's shape and dtype, also 0-d, after one pass and after more."""
    x = Value(np.full(shape, 2.0, np.float32))
    h = x * x + x
    y = h.sum() * h
    for _ in range(3):
        y.backward()
        for value in (x, h, y):
            assert type(value.grad) is np.ndarray
            assert (value.grad.shape, value.grad.dtype) == (shape, np.float32)


def test_inner_nodes_show_the_latest_pass() -> None:
    """The gradients of inner nodes do not accumulate."""
    x = Value(3.0)
    h = x * x
    y = h * 2
    y.backward()
    y.backward(5.0)
    assert (x.grad, h.grad, y.grad) == (12 + 60, 10, 5)


def test_a_second_loss_on_a_shared_part() -> None:
    """A second pass through shared nodes does not pass on what the first left there."""
    x = Value(3.0)
    h = x * 2
    (h + 1).backward()
    (h * h).backward()
    assert x.grad == 2 + 2 * 6 * 2
    assert h.grad == 12


def test_from_a_node_inside() -> None:
    """A pass from a leaf or an inner node reaches only what that was computed from."""
    x = Value(3.0)
    h = x * x
    y = h * 5
    h.backward()
    assert (x.grad, h.grad, y.has_grad) == (6, 1, False)
    x.backward()
    assert x.grad == 7


def test_from_several_values() -> None:
    """A pass from several Values equals one from the sum of each times its cotangent, also for leaves and repeats."""

    def made() -> tuple[list[Value], list[Value]]:
        x, w = Value([1.0, -2.0], "x"), Value([3.0, 0.5], "w")
        h = x * w
        y = h.tanh() + x
        return [x, w, h, y], [y, h, w, h, x * 2.0]

    cotangents = [np.array([2.0, -1.0]), None, [0.5, 4.0], Value([1.0, 3.0]), np.array([0.25, 0.25], np.float32)]
    several, roots = made()
    ndgrad.backward(roots, cotangents)
    one, others = made()
    terms = [(y * (1.0 if c is None else c)).sum() for y, c in zip(others, cotangents, strict=True)]
    ndgrad.stack(terms).sum().backward()
    for a, b in zip(several, one, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-15)
    assert all(type(v.grad) is np.ndarray for v in several)
    assert several[0].grad.flags.writeable
    ndgrad.backward([several[1]])  # a leaf, from ones: it accumulates
    np.testing.assert_allclose(several[1].grad, one[1].grad + 1, rtol=1e-15)


@pytest.mark.parametrize("leaf_first", [True, False])
def test_from_a_leaf_and_its_result(*, leaf_first: bool) -> None:
    """The order of the Values does not matter, even if one was computed from the other."""
    x = Value([1.0, 2.0])
    h = x * 2.0
    y = h * h
    ndgrad.backward([x, h, y][:: 1 if leaf_first else -1])
    assert h.grad.tolist() == [5.0, 9.0]
    assert x.grad.tolist() == [11.0, 19.0]


def test_a_cotangent_is_no_leafs_gradient() -> None:
    """The cotangents are not changed or shared, even for a leaf that is given twice; any iterable will do."""
    x, cotangent = Value([1.0, 2.0]), np.array([3.0, 4.0])
    for times in (1, 2):
        x.zero_grad()
        ndgrad.backward((x for _ in range(times)), (cotangent for _ in range(times)))
        assert not np.shares_memory(x.grad, cotangent)
        assert x.grad.tolist() == [3.0 * times, 4.0 * times]


def test_constants_among_several_contribute_nothing() -> None:
    """With `create_graph`, some gradients are constants or arrays, and contribute nothing to a second pass."""
    w, b, unused = Value([1.0, 2.0]), Value([3.0, 4.0]), Value([5.0])
    ((w**2).sum() + b.sum()).backward(create_graph=True)
    slopes = [p.grad for p in (w, b, unused)]
    for p in (w, b):
        p.zero_grad()
    ndgrad.backward(slopes, [[3.0, 4.0], [1.0, 1.0], [1.0]])
    assert w.grad.tolist() == [6.0, 8.0]
    assert not b.has_grad
    assert not unused.has_grad


def test_the_hessian_times_a_vector_by_hand() -> None:
    """A second pass from recorded gradients, each with a vector, computes the same as `hvp`."""
    x, v = Value([0.5, -1.0, 2.0]), np.array([1.0, -3.0, 0.25])

    def f(x: Value) -> Value:
        return (x[::-1] * np.exp(x)).sum()

    f(x).backward(create_graph=True)
    slope = x.grad
    x.zero_grad()
    ndgrad.backward([slope], [v])
    np.testing.assert_allclose(x.grad, ndgrad.hvp(f, x.data, v), rtol=1e-14)


def test_a_value_for_a_cotangent_that_records() -> None:
    """With `create_graph`, a Value as cotangent is cast, and gradients depend on it, in any mode."""
    for mode in (enable_grad, no_grad):
        x, u = Value(np.array([2.0, 3.0], np.float32)), Value([1.0, 5.0])
        y = x * x
        with mode():
            ndgrad.backward([y], [u], create_graph=True)
        slope = x.grad
        assert {y.grad.dtype, slope.dtype} == {np.dtype(np.float32)}
        slope.backward()
        assert u.grad.tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    ("values", "cotangents", "error", "says"),
    [
        (lambda x: [], None, RuntimeError, "none of these requires a gradient: an empty sequence"),
        (lambda x: [x * 2], [1.0, 2.0], ValueError, "backward() got 2 cotangents for 1 value"),
        (lambda x: x * 2, None, TypeError, "takes a sequence of Values, but got a Value"),
        (lambda x: 3.0, None, TypeError, "takes a sequence of Values, but got a float"),
        (lambda x: [x * 2, "x"], None, TypeError, "a value must be real numbers, but got dtype <U1"),
        (lambda x: [x * 2], 1.0, TypeError, "takes a sequence of cotangents, but got a float"),
        (lambda x: [x.detach(), 3.0], None, RuntimeError, "requires a gradient: a Value (a leaf, shape (2,)), a Value"),
        (lambda x: [x * 2, x], [None, 1.0], ValueError, "cotangent has shape (), but the value has shape (2,)"),
    ],
)
def test_several_values_that_are_refused(values: Any, cotangents: Any, error: type[Exception], says: str) -> None:
    """Wrong arguments are errors that say what was given, and no gradient is changed."""
    x = Value([1.0, 2.0])
    x.grad = [7.0, 8.0]
    with pytest.raises(error, match=re.escape(says)):
        ndgrad.backward(values(x), cotangents)
    assert x.grad.tolist() == [7.0, 8.0]


def test_a_gradient_towards_all_leaves() -> None:
    """All leaves get gradients, at any depth, used once or often, as operand or as exponent."""
    a, b, c, d = (Value(v) for v in (2.0, 3.0, 5.0, 7.0))
    y = a
    for _ in range(12):
        y = y + b
    z = (y * c - d) ** 1 + c
    z.backward()
    assert [v.grad for v in (a, b, c, d)] == [5.0, 60.0, 39.0, -1.0]


@pytest.mark.parametrize("first", [True, False])
def test_a_diamond_of_unequal_sides(*, first: bool) -> None:
    """A node is visited after all results computed from it, in whichever order they were created."""
    x = Value(3.0)
    y = x * 2
    long, short_ = (x * y, y) if first else (y * x, y * 1)
    z = (long + short_) if first else (short_ + long)
    z.backward()
    assert (x.grad, y.grad) == (2 + 4 * 3, 1 + 3)
    ladder = Value(2.0)
    a = ladder * 1
    for _ in range(5):
        a = a * 1 + ladder
    (a * ladder).backward()
    assert ladder.grad == 24.0  # of 6 x²


PROGRAMS = st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7)


@given(PROGRAMS, st.lists(st.integers(-2, 2), min_size=3, max_size=3), st.integers(1, 5))
def test_any_small_graph(steps: list[tuple[str, int, int]], leaves: list[int], cotangent: int) -> None:
    """In any small graph of integers, all gradients are PyTorch's, to the bit."""
    values = [Value(float(n)) for n in leaves]
    tensors = [torch.tensor(float(n), dtype=torch.float64, requires_grad=True) for n in leaves]
    apply: dict[str, Function] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    for sign, i, j in steps:
        for nodes in (values, tensors):
            nodes.append(apply[sign](nodes[i % len(nodes)], nodes[j % len(nodes)]))
    values[-1].backward(cotangent)
    start = torch.tensor(float(cotangent), dtype=torch.float64)
    gradients = torch.autograd.grad(tensors[-1], tensors, start, allow_unused=True)
    assert [v.item() for v in values] == [t.item() for t in tensors]
    assert [float(v.grad) for v in values] == [0.0 if g is None else g.item() for g in gradients]
    assert [v.has_grad for v in values] == [g is not None for g in gradients]


def test_depth_is_bounded_by_memory() -> None:
    """A chain of 100,000 nodes is built, passed, copied from and freed without recursion."""
    limit = sys.getrecursionlimit()
    x = Value(0.5)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad == 100_001.0
    alive = weakref.ref(y._prev[0])
    assert copy.deepcopy(y.detach()).item() == 50_000.5
    del y
    assert alive() is None
    assert sys.getrecursionlimit() == limit


def test_nodes_are_visited_once() -> None:
    """Thirty doublings take sixty steps, not a billion."""
    x = Value(1.0)
    y = x
    for _ in range(30):
        y = y + y
    y.backward()
    assert x.grad == 2.0**30


def test_equal_runs_are_equal_to_the_last_bit() -> None:
    """Equal runs give equal bits: nothing depends on old memory, hashes or addresses."""

    def run() -> list[tuple[Any, ...]]:
        rng = np.random.default_rng(3)
        w, v, x = (Value(rng.standard_normal(s).astype(np.float32)) for s in ((5, 7), (7, 3), (4, 5)))
        for _ in range(3):
            h = (x @ w).tanh()
            loss = ((h @ v).softmax() * h[:, [0, 0, 1]]).sum() / (1 + w.std() + h.max(axis=0).sum())
            loss.backward()
            for p in (w, v):
                p.data -= 0.1 * p.grad
        return as_bytes(loss.data, w.data, v.data, w.grad, v.grad, x.grad, h.grad)

    first = run()
    litter = [np.full(n, np.nan) for n in range(1, 200)]
    del litter
    assert run() == first


# Shared memory.

SHARING: dict[str, Function] = {
    "the root itself": lambda a, b: a,
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "positive": lambda a, b: a.positive() + b,
    "a + a": lambda a, b: a + a,
    "reshape": lambda a, b: a.reshape(4) + b.reshape(4),
    "transpose": lambda a, b: a.T + b,
    "slice": lambda a, b: a[:] + b[::-1],
    "sum": lambda a, b: a.sum(axis=0) + b.sum(axis=1),
    "broadcast": lambda a, b: a.broadcast_to(2, 2, 2) + b,
    "stack": lambda a, b: ndgrad.stack([a, b, a]),
    "concatenate": lambda a, b: ndgrad.concatenate([a, b]),
    "where": lambda a, b: ndgrad.where(True, a, b),  # noqa: FBT003
    "astype": lambda a, b: a.astype(np.float64) + b,
    "squeeze": lambda a, b: a.expand_dims(0).squeeze(0) + b,
    "pad": lambda a, b: a.pad(0) + b,
    "split": lambda a, b: a.split(1)[0] + b,
    "multiply": lambda a, b: a * b,
}


@pytest.mark.parametrize("made", SHARING)
def test_a_leafs_gradient_owns_its_memory(made: str) -> None:
    """The gradient of a leaf shares no memory with any other array, and is writable."""
    a, b = Value(short(2, 2)), Value(short(2, 2) + 5)
    y = SHARING[made](a, b)
    cotangent = np.ones(y.shape)
    for _ in range(2):
        y.backward(cotangent)
        mine = [v.grad for v in (a, b) if v.has_grad]
        others = [cotangent, a.data, b.data, y.data] + [y.grad] * (y is not a) + [o.grad for o in y._prev if o._op]
        for grad in mine:
            assert grad.flags.writeable
            for other in others + [g for g in mine if g is not grad]:
                assert not np.shares_memory(grad, other)


def test_a_gradient_that_was_read_is_never_written_to() -> None:
    """A gradient that was read is never written to by later passes, by zeroing, or through the cotangent."""
    x = Value([1.0, 2.0])
    h = x * x
    y = h * 3 + h
    cotangent = np.array([2.0, 3.0])
    y.backward(cotangent)
    held = [v.grad for v in (x, h, y)]
    before = as_bytes(*held)
    cotangent[:] = 9
    y.backward([5.0, 7.0])
    x.backward()
    x.zero_grad()
    y.backward()
    assert as_bytes(*held) == before


def test_an_inner_gradient_is_read_only() -> None:
    """The gradient of an inner node is read-only, because it may share memory with others."""
    x = Value([1.0, 2.0])
    h = x + 1
    y = h + 1
    y.backward()
    for node in (h, y):
        with pytest.raises(ValueError, match="read-only"):
            node.grad[0] = 9


@pytest.mark.parametrize("made", SHARING)
def test_operands_and_the_cotangent_are_not_touched(made: str) -> None:
    """Operands and cotangents, some of them read-only, are unchanged after a pass."""
    a, b = Value(short(2, 2)), Value(short(2, 2) + 5)
    y = SHARING[made](a, b)
    cotangent = np.arange(1.0, 1 + y.size).reshape(y.shape)
    before = as_bytes(a.data, b.data, y.data, cotangent)
    for array in (a.data, b.data, cotangent):
        array.flags.writeable = False
    y.backward(cotangent)
    y.backward(cotangent)
    assert as_bytes(a.data, b.data, y.data, cotangent) == before


VIEWS: dict[str, Callable[[Value], Value]] = {
    "reshape": lambda x: x.reshape(3, 2),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x: x.transpose(1, 0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "expand_dims": lambda x: x.expand_dims(0),
    "squeeze": lambda x: x.squeeze(),
    "broadcast_to": lambda x: x.broadcast_to(2, 2, 3),
    "flip": lambda x: x.flip(0),
    "split": lambda x: x.split(2)[1],
    "slice": lambda x: x[:, 1:],
    "row": lambda x: x[1],
    "view of a view": lambda x: x.T[1:].flip(1),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("source", ["leaf", "node", "constant", "under no_grad"])
def test_a_view_is_read_only(source: str, view: str) -> None:
    """A view is read-only, since a write would change its operand as well."""
    x = Value(short(2, 3), requires_grad=source != "constant")
    if source == "node":
        x = x * 1
    if source == "under no_grad":
        with no_grad():
            y = VIEWS[view](x)
    else:
        y = VIEWS[view](x)
    assert not (np.shares_memory(x.data, y.data) and y.data.flags.writeable)
    if source == "leaf":
        with pytest.raises(ValueError, match="read-only"):
            y.data += 1


def test_what_is_no_view_does_not_share() -> None:
    """A writable result has memory of its own, even if the op changed nothing."""
    x = Value(3.0)
    v = Value([1.0, 2.0])
    # fmt: off
    results = [
        (x, x.pad(1)), (x, x.positive()), (x, x.sum()), (x, x.astype(np.float64)), (x, x.clip(None, None)),
        (x, x.mean(axis=())), (v, v.pad(0)), (v, v.sum(axis=())), (v, v.max(axis=())), (v, v[[0, 1]]),
        (v, ndgrad.concatenate([v])), (v, ndgrad.where([True, True], v, 0)), (v, v.cumsum()), (v, v.prod(axis=())),
        (v, v.astype(np.float64)),
    ]
    # fmt: on
    for operand, y in results:
        assert not (y.data.flags.writeable and np.shares_memory(operand.data, y.data)), y._op


# Errors during a pass.


def test_an_error_leaves_every_gradient_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error leaves every gradient unchanged, above and below the pullback that fails."""

    def failing(*_: Any) -> Any:
        raise ArithmeticError("on purpose")

    a, b, c = (Value([n, 2.0]) for n in (1.0, 3.0, 5.0))
    h = c.exp()
    y = a * b + h * c
    y.backward([1.0, 2.0])
    b.zero_grad()
    nodes = (a, b, c, h, y)
    before = [(v.has_grad, as_bytes(v.grad)) for v in nodes]
    with monkeypatch.context() as patch:
        patch.setattr(RULES["exp"], "pullbacks", (failing,))
        for create_graph in (False, True):
            with pytest.raises(ArithmeticError, match="on purpose"):
                y.backward([7.0, 7.0], create_graph=create_graph)
    assert [(v.has_grad, as_bytes(v.grad)) for v in nodes] == before
    assert (Value(1.0) * 2).requires_grad
    y.backward([1.0, 2.0])
    assert b.grad.tolist() == [1.0, 4.0]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,), (2, 2, 1)])
def test_a_pullback_of_the_wrong_shape_is_an_error(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cotangent whose shape does not come from broadcasting is an error, and is not summed to fit."""
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: np.ones(shape),))
    x = Value(np.ones((2, 2)))
    says = f"the pullback of exp to operand 0 gave shape {shape}, which the operand's shape "
    with pytest.raises(RuntimeError, match=re.escape(says)):
        x.exp().backward()
    assert not x.has_grad


def test_an_interrupted_pass_leaves_no_mode_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupted pass the mode and NumPy's error state are restored."""

    def failing(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(RULES["exp"], "pullbacks", (failing,))
    before = np.geterr()
    with no_grad():
        with pytest.raises(KeyboardInterrupt):
            _recorded(lambda x: x.exp()).backward()
        assert not (Value(1.0) * 2).requires_grad
    assert np.geterr() == before


def _recorded(function: Callable[[Value], Value]) -> Value:
    with enable_grad():
        return function(Value(1.0))


# Broadcasting in the backward pass.


@pytest.mark.parametrize(
    ("shape", "sums"),
    [
        ((2, 3), [[1, 2, 3], [4, 5, 6]]),
        ((3,), [5, 7, 9]),
        ((1, 3), [[5, 7, 9]]),
        ((2, 1), [[6], [15]]),
        ((1, 1), [[21]]),
        ((1,), [21]),
        ((), 21),
    ],
)
def test_broadcasting_is_undone(shape: tuple[int, ...], sums: Any) -> None:
    """The cotangents of all copies are summed, over new axes and over those of length 1."""
    cotangent = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for create_graph in (False, True):
        x = Value(np.full(shape, 7.0))
        (x * np.full((2, 3), 2.0)).backward(cotangent, create_graph=create_graph)
        grad = x.grad.data if create_graph else x.grad
        assert as_bytes(grad) == as_bytes(2.0 * np.array(sums, float))


# Modes.


def recording() -> bool:
    """Return whether results are recorded at present."""
    return (Value(1.0) * 2).requires_grad


def test_no_grad() -> None:
    """Under `no_grad` results of all kinds of ops are constants with the same numbers."""
    x = Value([1.0, 2.0])
    with no_grad():
        results = [x * x, 2 - x, -x, x @ x, x.exp(), x.sum(), x[0], x.reshape(2, 1), x.softmax(), ndgrad.stack([x, x]),
                   *x.split(2), ndgrad.sin(x), x.astype(np.float32)]  # fmt: skip
        assert not any(y.requires_grad or y._prev or y._op for y in results)
        assert results[0].data.tolist() == [1.0, 4.0]
        assert Value(1.0).requires_grad
    assert recording()


def test_modes_nest() -> None:
    """The innermost mode applies, and each restores the one before."""
    seen = []
    with no_grad():
        with no_grad():
            seen.append(recording())
        seen.append(recording())
        with enable_grad():
            seen.append(recording())
            with no_grad():
                seen.append(recording())
            seen.append(recording())
        seen.append(recording())
    assert seen == [False, False, True, False, True, False]
    assert recording()


def test_one_mode_is_entered_again_and_again() -> None:
    """A mode object can be entered repeatedly, and inside itself."""
    mode = no_grad()
    for _ in range(2):
        with mode:
            assert not recording()
            with enable_grad(), mode:
                assert not recording()
            assert not recording()
        assert recording()


def test_a_mode_is_a_decorator() -> None:
    """A decorator applies the mode to each call; the function keeps its name, arguments and result."""

    @no_grad()
    def evaluate(x: Value, *, factor: float) -> Value:
        """Return the argument times the factor."""
        return x * factor if factor > 0 else evaluate(x, factor=-factor)

    for _ in range(2):
        y = evaluate(Value(2.0), factor=-3.0)
        assert (y.item(), y.requires_grad) == (6.0, False)
        assert recording()
    assert (evaluate.__name__, evaluate.__doc__) == ("evaluate", "Return the argument times the factor.")


def test_a_mode_left_by_an_exception() -> None:
    """A mode ends normally if an exception leaves it."""

    @no_grad()
    def failing() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        failing()
    with pytest.raises(KeyError), no_grad(), enable_grad(), no_grad():
        raise KeyError
    assert recording()


def test_a_mode_is_its_threads_own() -> None:
    """Each thread has its own mode."""
    seen: list[bool] = []
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        seen.append(recording())
        with no_grad():
            inside.set()
            seen.append(done.wait(10) and recording())

    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
    assert recording()
    done.set()
    thread.join()
    assert seen == [True, False]
    assert recording()


def test_a_pass_back_under_no_grad() -> None:
    """Under `no_grad` an existing graph can be passed, and differentiated again."""
    x = Value(2.0)
    y = x**3
    with no_grad():
        y.backward(create_graph=True)
        first = x.grad
        x.zero_grad()
        first.backward()
    assert x.grad == 12.0


# Data that changed between the passes.


def overwritten(x: Value) -> None:
    """Assign other numbers."""
    x.data = x.data * 3 + 1


def augmented(x: Value) -> None:
    """Write other numbers into the same array."""
    x.data *= 3


def exchanged(x: Value) -> None:
    """Assign a list."""
    x.data = (x.data * x.data + 1).tolist()


WAYS = [overwritten, augmented, exchanged]

# Ops whose pullbacks read the operand. W is a constant operand.
W = np.array([[1.0, 2.0], [3.0, 5.0]])
READS: dict[str, Function] = {
    "multiply": lambda x: x * x,
    "multiply by a Value": lambda x: x * Value(W),
    "divide": lambda x: 1 / x,
    "power": lambda x: x**2,
    "power of a Value": lambda x: 2 ** (x**1),
    "log": lambda x: x.log(),
    "sin": lambda x: x.sin(),
    "square": lambda x: x.square(),
    "softplus": lambda x: x.softplus(),
    "maximum": lambda x: ndgrad.maximum(x, W),
    "clip": lambda x: x.clip(0, 1),
    "abs": abs,
    "leaky_relu": lambda x: x.leaky_relu(),
    "matmul": lambda x: x @ x,
    "dot": lambda x: x.dot(x),
    "outer": lambda x: ndgrad.outer(x, x),
    "prod": lambda x: x.prod(),
    "max": lambda x: x.max(axis=0),
    "min": lambda x: x.min(),
}
# Ops whose pullbacks do not read the operand.
SPARES: dict[str, Function] = {
    "add": lambda x: x + x,
    "subtract": lambda x: 1 - x,
    "negative": lambda x: -x,
    "multiply by a constant": lambda x: W * x,
    "divide by a constant": lambda x: x / W,
    "matmul with a constant": lambda x: x @ W,
    "dot with a constant": lambda x: x.dot(W),
    "dot of a constant": lambda x: ndgrad.dot(W, x),
    "outer with a constant": lambda x: ndgrad.outer(x, W),
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(axis=0, keepdims=True),
    "cumsum": lambda x: x.cumsum(axis=1),
    "var": lambda x: x.var(axis=0),
    "std": lambda x: x.std(),
    "logsumexp": lambda x: x.logsumexp(axis=1),
    "exp": lambda x: x.exp(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "sqrt": lambda x: x.sqrt(),
    "softmax": lambda x: x.softmax(),
    "log_softmax": lambda x: x.log_softmax(),
    "astype": lambda x: x.astype(np.float32),
    "where": lambda x: ndgrad.where(W > 2, x, W),
    "getitem": lambda x: x[[0, 0, 1]],
    "reshape": lambda x: x.reshape(4),
    "transpose": lambda x: x.T,
    "concatenate": lambda x: ndgrad.concatenate([x, W, x]),
    "stack": lambda x: ndgrad.stack([x, x]),
    "pad": lambda x: x.pad(1, "reflect"),
    "flip": lambda x: x.flip(1),
}


def cotangent_of(y: Value) -> Array:
    """Return a cotangent with no two numbers alike."""
    return np.arange(1.0, 1 + y.size).reshape(y.shape) ** 2


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("op", READS)
def test_an_operand_that_is_read_may_not_change(op: str, write: Callable[[Value], None]) -> None:
    """If an operand that a pullback reads has changed, an error names the operand, and no gradient changes."""
    x = Value(short(2, 2), "x")
    y = READS[op](x)
    write(x)
    says = r"operand \d( \(x\))? of \w+ \(shape \(2, 2\)\) changed after it was used"
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match=says):
            y.backward(create_graph=create_graph)
    assert not x.has_grad
    again = READS[op](x)
    again.backward()
    assert x.has_grad


@pytest.mark.parametrize("write", [overwritten, exchanged])
@pytest.mark.parametrize("op", SPARES)
def test_an_operand_that_is_not_read_may_change(op: str, write: Callable[[Value], None]) -> None:
    """If no pullback reads the changed operand, the gradient is that of the old numbers."""
    x, twin = Value(short(2, 2)), Value(short(2, 2))
    y, expected = SPARES[op](x), SPARES[op](twin)
    write(x)
    y.backward(cotangent_of(y))
    expected.backward(cotangent_of(y))
    assert as_bytes(x.grad) == as_bytes(twin.grad)


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("op", [*READS, *SPARES])
def test_never_a_wrong_number(op: str, write: Callable[[Value], None]) -> None:
    """With and without `create_graph`, the gradient is that of the old numbers, or an error is raised."""
    for create_graph in (False, True):
        x, twin = Value(short(2, 2)), Value(short(2, 2))
        y, expected = {**READS, **SPARES}[op](x), {**READS, **SPARES}[op](twin)
        write(x)
        expected.backward(cotangent_of(y), create_graph=create_graph)
        try:
            y.backward(cotangent_of(y), create_graph=create_graph)
        except RuntimeError:
            continue
        ours, theirs = (v.grad.data if create_graph else v.grad for v in (x, twin))
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)  # with and without the residual


@pytest.mark.parametrize("view", VIEWS)
def test_data_changed_under_a_view(view: str) -> None:
    """A write into an operand also changes its view, so results computed from the view before are stale."""
    x = Value(short(2, 3))
    v = VIEWS[view](x)
    w = Value(np.ones(v.shape))
    y = w * v
    x.data += 100
    with pytest.raises(RuntimeError, match="changed after it was used"):
        y.backward()
    assert not w.has_grad


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("source", ["constant", "under no_grad"])
def test_data_changed_under_what_was_a_view(source: str, view: str) -> None:
    """A view of a constant is copied, and keeps its numbers if the constant is overwritten."""
    x = Value(short(2, 3), requires_grad=source != "constant")
    with no_grad():
        v = VIEWS[view](x)
    before = v.data.tolist()
    w = Value(np.ones(v.shape))
    y = w * v
    x.data += 100
    y.backward()
    assert w.grad.tolist() == before


@pytest.mark.parametrize("view", VIEWS)
def test_data_replaced_under_a_view(view: str) -> None:
    """If the data of an operand is replaced, its view keeps the old numbers, and the gradient is theirs."""
    x, twin = Value(short(2, 3)), Value(short(2, 3))
    y, expected = (VIEWS[view](v) * VIEWS[view](v) for v in (x, twin))
    x.data = short(2, 3) + 100
    y.backward(cotangent_of(y))
    expected.backward(cotangent_of(y))
    assert as_bytes(x.grad) == as_bytes(twin.grad)


@pytest.mark.parametrize("view", VIEWS)
def test_data_changed_under_a_view_and_then_replaced(view: str) -> None:
    """A view shows a write in place, even if the data of its operand is replaced afterwards."""
    x = Value(short(2, 3))
    v = VIEWS[view](x)
    w = Value(np.ones(v.shape))
    y = w * v
    x.data += 100
    x.data = short(2, 3)
    with pytest.raises(RuntimeError, match="changed after it was used"):
        y.backward()
    later = w * VIEWS[view](x)
    x.data = short(2, 3) + 100
    x.data += 100
    later.backward()
    assert as_bytes(w.grad) == as_bytes(VIEWS[view](Value(short(2, 3))).data)


def test_data_of_a_result_changed_under_a_view_and_then_replaced() -> None:
    """The same holds if the array of the operand is itself a view of an array that an op made."""
    x = Value(short(2, 3)).logsumexp(axis=0)
    assert x.data.base is not None
    w = Value(np.ones(3))
    y = w * x[:]
    x.data += 100
    x.data = short(3)
    with pytest.raises(RuntimeError, match="changed after it was used"):
        y.backward()


def test_data_changed_under_a_copy_and_then_replaced() -> None:
    """Indexing by an array copies, and the copy keeps its numbers."""
    x, w = Value(short(3)), Value(np.ones(2))
    y = w * x[[2, 0]]
    x.data += 100
    x.data = short(3) - 100
    y.backward()
    assert w.grad.tolist() == [1.5, 0.5]


def test_replaced_arrays_are_freed() -> None:
    """Replaced arrays are freed, even if the data is written in place and replaced repeatedly."""
    x = Value(short(3))
    arrays = []
    for _ in range(5):
        x.data += 1
        arrays.append(weakref.ref(x.data))
        x.data = short(3)
    assert [array() for array in arrays] == [None] * 5
    x.data += 1
    x.data = short(3)
    assert len(x._replaced) == 1


@pytest.mark.parametrize("view", VIEWS)
def test_data_changed_under_a_view_of_what_was_replaced(view: str) -> None:
    """A view of a view shares the memory of the first operand, whatever happened to the view between them."""
    x = Value(short(2, 3))
    between = x[:]
    v = VIEWS[view](between)
    w = Value(np.ones(v.shape))
    y = w * v
    between.data = short(2, 3)
    x.data += 100
    with pytest.raises(RuntimeError, match="changed after it was used"):
        y.backward()
    assert not w.has_grad


def test_a_node_whose_own_data_changed() -> None:
    """Changes of a node's own data are detected, as an operand and as the result that its pullback reads."""
    x = Value([1.0, 2.0])
    h = x.exp()
    y = h * h
    h.data = [5.0, 6.0]
    with pytest.raises(RuntimeError, match=r"operand [01] of multiply"):
        y.backward()
    z = h + 1
    with pytest.raises(RuntimeError, match=r"the result of exp \(shape \(2,\)\) changed after it was used"):
        z.backward()
    assert not x.has_grad


def test_the_error_says_what_to_do() -> None:
    """The error names the operand by its label, the op, and both remedies."""
    x, w = Value([1.0], "x"), Value([2.0], "weight")
    y = x * w
    w.data = [3.0]
    says = (
        "operand 1 (weight) of multiply (shape (1,)) changed after it was used, and the gradient needs what it was: "
        "run the forward pass again, or change it after backward()"
    )
    with pytest.raises(RuntimeError, match=re.escape(says)):
        y.backward()


def test_steps_between_passes() -> None:
    """Training steps with `p.data -= rate * p.grad` raise no error."""
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    w = Value([[0.5], [-0.25]])
    t = torch.tensor(w.data, requires_grad=True)
    for _ in range(3):
        loss = (ndgrad.tanh(x @ w) ** 2).sum()
        w.zero_grad()
        loss.backward()
        w.data -= 0.1 * w.grad
        (gradient,) = torch.autograd.grad((torch.tanh(torch.tensor(x) @ t) ** 2).sum(), t)
        t = (t - 0.1 * gradient).detach().requires_grad_()
    np.testing.assert_allclose(w.data, t.detach(), rtol=1e-14)  # three steps of a few roundings each


def test_a_write_that_no_graph_has_seen() -> None:
    """Data assigned before an op, after the pass, or to an unrelated Value does not matter."""
    x, other = Value([1.0, 2.0]), Value([1.0])
    x.data = [3.0, 4.0]
    y = x * x
    other.data += 1
    y.backward()
    x.data += 1
    (x * x).backward()
    assert x.grad.tolist() == [6.0 + 8.0, 8.0 + 10.0]


def test_a_write_between_two_orders() -> None:
    """A write between the first derivative and the second is detected."""
    x = Value(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    x.zero_grad()
    x.data = 5.0
    with pytest.raises(RuntimeError, match="changed after it was used"):
        first.backward()


# Assignment to data.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_assigned_data_is_copied_and_keeps_the_dtype(dtype: type) -> None:
    """Assigned data is copied and cast to the dtype."""
    x = Value(np.array([1, 2], dtype))
    array = np.array([3.0, 4.0])
    x.data = array
    array[:] = 9
    assert as_bytes(x.data) == as_bytes(np.array([3, 4], dtype))
    x.data = [True, 5]
    assert as_bytes(x.data) == as_bytes(np.array([1, 5], dtype))


@pytest.mark.parametrize("data", [[1.0, 2.0, 3.0], 1.0, [[1.0, 2.0]], []])
def test_assigned_data_has_the_same_shape(data: Any) -> None:
    """Assigned data of another shape is an error with both shapes, and the data is unchanged."""
    x = Value([7.0, 8.0])
    shape = np.shape(data)
    with pytest.raises(ValueError, match=re.escape(f"data has shape (2,), but was assigned shape {shape}")):
        x.data = data
    assert x.data.tolist() == [7.0, 8.0]


@pytest.mark.parametrize("data", ["ab", [1j, 2], None, Value([1.0, 2.0]), ["a", "b"]])
def test_assigned_data_is_made_of_real_numbers(data: Any) -> None:
    """Assigned data must be made of real numbers; a Value is an error, since its graph would be lost."""
    with pytest.raises(TypeError):
        Value([7.0, 8.0]).data = data


# Writes to entries.


def test_writes_by_subscript_are_noticed_on_request() -> None:
    """`check_writes` detects writes to entries of leaves, constants, nodes, and through views."""
    x, array = Value([1.0, 2.0]), np.array([3.0, 4.0])
    held = x.data[:1]
    for target in (x.data, held, array):
        with check_writes():
            y = (x * array) * x
            y.backward()
        target[0] += 1
        with pytest.raises(RuntimeError, match=r"operand [01] of multiply \(shape \(2,\)\) changed"):
            y.backward()
    with check_writes():
        y = x.exp()
    y.data[0] = 0
    with pytest.raises(RuntimeError, match="the result of exp"):
        y.backward()


def test_writes_that_matter_to_no_pullback_are_free_there_too() -> None:
    """Writes that no pullback reads are allowed, and a write of the same number is not a change."""
    x = Value([1.0, 2.0])
    with check_writes():
        y, z = x + x, x * x
    x.data[0] = 1.0
    z.backward()
    x.data[0] = 9.0
    y.backward()
    assert x.grad.tolist() == [2.0 + 2.0, 4.0 + 2.0]


def test_writes_are_checked_while_it_was_asked_for() -> None:
    """Writes are checked for ops inside the mode only, and assignments always; it is a decorator, too."""
    x = Value([1.0, 2.0])
    y = x * x
    with enable_grad():
        z = x * x
    with check_writes():
        inside = x * x
        with no_grad():
            assert not recording()
        assert recording()
    x.data[0] = 5.0
    y.backward()
    z.backward()
    with pytest.raises(RuntimeError, match="changed"):
        inside.backward()

    @check_writes()
    def squared(v: Value) -> Value:
        return v * v

    z = squared(x)
    x.data = [1.0, 1.0]
    with pytest.raises(RuntimeError, match="changed"):
        z.backward()


# Memory.


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Disable Python's cyclic garbage collector, so that only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def a_graph(x: Value) -> list[Value]:
    """Return the nodes of a graph of many ops, with the loss last."""
    h = (x @ x).tanh()
    a, b = h.split(2)
    s = ndgrad.stack([a, b, a]).softmax()
    return [h, a, b, s, (s * s.std() + x.logsumexp()).sum() ** 2]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("ending", ["never passed", "passed", "passed twice", "failed", "looked at"])
def test_a_graph_is_freed_with_its_loss(ending: str) -> None:
    """A graph is freed at once with its loss: no node refers to results computed from it."""
    x = Value(short(2, 2))
    nodes = a_graph(x)
    if ending == "failed":
        x.data = short(2, 2) + 1
        with pytest.raises(RuntimeError):
            nodes[-1].backward()
    elif ending == "looked at":
        assert nodes[-1]._prev[1]._prev == ()
    elif ending != "never passed":
        nodes[-1].backward()
        if ending == "passed twice":
            nodes[-1].backward()
    refs = [weakref.ref(node) for node in nodes]
    del nodes
    assert [ref() for ref in refs] == [None] * len(refs)


@pytest.mark.usefixtures("no_collector")
def test_training_does_not_grow() -> None:
    """After each training step there are as many Values as before."""
    x = Value(short(2, 2) / 9)

    def values() -> int:
        return sum(type(o) is Value for o in gc.get_objects())

    counts = []
    for _ in range(10):
        loss = a_graph(x)[-1]
        x.zero_grad()
        loss.backward()
        x.data -= 0.01 * x.grad
        counts.append(values())
    assert len(set(counts)) == 1


@pytest.mark.usefixtures("no_collector")
def test_no_grad_keeps_no_operands() -> None:
    """Under `no_grad` operands are freed while the constant result lives on."""
    x = Value([1.0, 2.0])
    with no_grad():
        h = x * 2
        y = h + 1
    ref = weakref.ref(h)
    del h
    assert ref() is None
    assert y.data.tolist() == [3.0, 5.0]


# Higher derivatives.


def test_gradients_that_record() -> None:
    """With `create_graph`, the gradients of leaves and nodes are Values, and can be differentiated."""
    x = Value([2.0, 3.0])
    h = x * x
    y = h * x
    y.backward([1.0, 10.0], create_graph=True)
    assert [type(v.grad) for v in (x, h, y)] == [Value] * 3
    assert x.grad.data.tolist() == [12.0, 270.0]
    first = x.grad
    x.zero_grad()
    first.backward(create_graph=True)
    assert x.grad.data.tolist() == [12.0, 180.0]
    second = x.grad
    x.zero_grad()
    second.backward()
    assert type(x.grad) is np.ndarray
    assert x.grad.tolist() == [6.0, 60.0]


def test_recorded_gradients_accumulate() -> None:
    """Recorded gradients accumulate with each other and with arrays, and the sums can be differentiated."""
    x = Value(2.0)
    (x**3).backward()
    (x**3).backward(create_graph=True)
    (x**3).backward()
    assert x.grad.item() == 36.0
    total = x.grad
    x.zero_grad()
    total.backward()
    assert x.grad == 12.0


def test_recorded_gradients_are_not_shared() -> None:
    """Each leaf has a recorded gradient of its own, whose data is writable."""
    a, b = Value([1.0, 2.0]), Value([3.0, 4.0])
    cotangent = Value([1.0, 1.0])
    (a + b).backward(cotangent, create_graph=True)
    assert a.grad is not b.grad
    assert not np.shares_memory(a.grad.data, b.grad.data)
    assert not np.shares_memory(a.grad.data, cotangent.data)


def test_a_gradient_in_a_loss() -> None:
    """A penalty on the gradient has PyTorch's gradient."""
    data = short(3, 2)
    x, t = Value(data), torch.tensor(data, requires_grad=True)
    x.tanh().sum().backward(create_graph=True)
    slope = x.grad
    x.zero_grad()
    ((slope * slope).sum() + x.log().sum()).backward()
    (expected,) = torch.autograd.grad(torch.tanh(t).sum(), t, create_graph=True)
    (gradient,) = torch.autograd.grad((expected * expected).sum() + torch.log(t).sum(), t)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-13)  # 1 - y * y cancels two digits at 3


def test_a_cotangent_that_records() -> None:
    """With `create_graph` the cotangent gets a gradient as well: the pass is linear in it."""
    x, u = Value([2.0, 3.0]), Value([1.0, 10.0])
    (x * x).backward(u, create_graph=True)
    first = x.grad
    first.backward([1.0, 1.0])
    assert u.grad.tolist() == [4.0, 6.0]


RESIDUAL_RULES = [name for name, rule in RULES.items() if rule.residual]


@pytest.mark.parametrize("name", RESIDUAL_RULES)
def test_residuals_are_recorded(name: str) -> None:
    """Second derivatives through residuals agree with PyTorch."""
    theirs: dict[str, Function] = {
        "sigmoid": torch.sigmoid,
        "var": lambda t: t.var(1, correction=0),
        "std": lambda t: t.std(1, correction=0),
        "logsumexp": lambda t: torch.logsumexp(t, 1),
        "log_softmax": lambda t: torch.log_softmax(t, -1),
        "label_cross_entropy": lambda t: torch.nn.functional.cross_entropy(t, torch.tensor([2, 0]), reduction="none"),
    }
    data = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
    direction = np.array([[1.0, -2.0, 0.5], [3.0, 1.0, -1.0]])
    x, t = Value(data), torch.tensor(data, requires_grad=True)
    options: dict[str, dict[str, Any]] = {"sigmoid": {}, "log_softmax": {}, "label_cross_entropy": {"labels": [2, 0]}}
    y = RULES[name](x, **options.get(name, {"axis": 1}))
    y.backward(cotangent_of(y), create_graph=True)
    first = x.grad
    x.zero_grad()
    (first * direction).sum().backward()
    expected = theirs[name](t)
    (slope,) = torch.autograd.grad(expected, t, torch.tensor(cotangent_of(y)), create_graph=True)
    (gradient,) = torch.autograd.grad((slope * torch.tensor(direction)).sum(), t)
    # Sums of terms up to 10, which cancel a digit or two.
    np.testing.assert_allclose(first.data, slope.detach(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-13, atol=1e-14)


def test_a_value_cannot_be_subclassed() -> None:
    """A subclass of Value is an error, since ops would take it for a constant."""
    with pytest.raises(TypeError, match="hold a Value in an attribute instead"):
        type("Parameter", (Value,), {})
