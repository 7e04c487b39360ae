"""Arguments of Values and ops, and conversions: nothing is lost without an error."""

from __future__ import annotations

import copy
import math
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
MATRIX = np.asarray([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)


class Metres(np.ndarray):
    """An array subclass with a meaning that plain numbers lack."""


LENGTHS = np.ones(3).view(Metres)

# Arrays of subclasses.


@pytest.mark.parametrize(
    "take",
    [
        Value,
        lambda m: Value([m, m]),
        lambda m: Value(np.ones(3)) * m,
        lambda m: m * Value(np.ones(3)),
        lambda m: np.add(m, Value(np.ones(3))),
        lambda m: np.where([True, False, True], Value(np.ones(3)), m),
        lambda m: np.concatenate([Value(np.ones(3)), m]),
        lambda m: Value(np.ones(3)).backward(m),
        lambda m: ndgrad.backward([Value(np.ones(3)) * 2], [m]),
        lambda m: setattr(Value(np.ones(3)), "data", m),
        lambda m: setattr(Value(np.ones(3)), "grad", m),
        ndgrad.grad(lambda x: x.sum()),
    ],
)
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (MASKED, "MaskedArray, whose mask would be lost: fill it (.filled(0.0)) or compress it (.compressed()) first"),
        (LENGTHS, "Metres, whose meaning would be lost: np.asarray(x) gives the plain numbers"),
    ],
    ids=["masked", "subclass"],
)
def test_an_array_that_is_more_than_its_numbers_is_refused(take: Callable[[Any], Any], given: Any, says: str) -> None:
    """An array of a subclass is an error as data, operand, cotangent or gradient, also in a list.

    It says what would be lost.
    """
    with pytest.raises(TypeError) as caught:
        take(given)
    words = str(caught.value)
    assert says in words or (given is MASKED and "a Value is not converted to an array implicitly" in words)


def test_a_masked_array_on_the_left_is_refused() -> None:
    """A masked array on the left is an error. numpy.ma reads an attribute `_data`, which a Value does not have."""
    v = Value([1.0, 2.0, 3.0])
    assert not hasattr(type(v), "_data")
    for call in (
        lambda: MASKED * v,
        lambda: MASKED + v,
        lambda: np.ma.multiply(v, MASKED),
        lambda: np.ma.exp(v),
        lambda: np.ma.array(v, mask=[False, True, False]),
        lambda: MASKED.__iadd__(v),
    ):
        with pytest.raises(TypeError, match="array"):
            call()


@pytest.mark.parametrize(
    "call", [lambda v: MATRIX * v, lambda v: v * MATRIX, lambda v: MATRIX @ v, lambda v: Value(MATRIX)]
)
def test_a_matrix_is_refused(call: Callable[[Value], Any]) -> None:
    """A matrix is an error, since its `*` is a matrix product, and a Value's is not."""
    says = re.escape("a matrix, whose * is a product of matrices: write np.asarray(m), and @ for that product")
    with pytest.raises(TypeError, match=says):
        call(Value(np.eye(2)))


def test_files_in_memory_are_arrays(tmp_path: Any) -> None:
    """`np.memmap` is accepted as a plain array."""
    mapped = np.memmap(tmp_path / "numbers", dtype="f8", mode="w+", shape=(3,))
    mapped[:] = [1.0, 2.0, 3.0]
    assert (Value(mapped) * mapped).data.tolist() == [1.0, 4.0, 9.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[np.ma.array([0, 1], mask=[False, True])],
        lambda x: np.where(np.ma.array([True, False], mask=[False, True]), x[:2], 0.0),
        lambda x: ndgrad.label_cross_entropy(x.reshape(1, 3), np.ma.array([1], mask=[True])),
    ],
    ids=["index", "condition", "labels"],
)
def test_a_mask_in_an_option_is_refused(call: Callable[[Value], Any]) -> None:
    """A masked array in an index, a condition or labels is an error."""
    with pytest.raises(TypeError, match="MaskedArray, whose mask would be lost"):
        call(Value([1.0, 2.0, 3.0]))


# Arguments of the constructor.

make: Any = Value  # with arguments that its type does not allow
multiply: Any = np.multiply


@pytest.mark.parametrize(
    ("construct", "says"),
    [
        (lambda a: make(6.0, (a, a), "*"), "label must be a str, but is ("),
        (lambda a: make(6.0, label=5), "label must be a str, but is 5"),
        (lambda a: make(6.0, None), "label must be a str, but is None"),
        (lambda a: make(6.0, "a", "*"), "requires_grad must be True or False, but is '*'"),
        (lambda a: make(6.0, "a", 1), "requires_grad must be True or False, but is 1"),
        (lambda a: setattr(a, "label", 5), "label must be a str, but is 5"),
        (lambda a: make(None), "data must be real numbers, but got None"),
        (lambda a: make([1.0, None]), "data must be real numbers, but got None"),
        (lambda a: make({"x": 1.0}), "data must be real numbers, but got {'x': 1.0} of type dict"),
        (lambda a: make("1.0"), "data must be real numbers, but got dtype <U3"),
        (lambda a: a * None, "unsupported operand type(s) for *"),
        (lambda a: multiply(a, None), "an operand of multiply must be a number, an array or a Value, but got None"),
        (lambda a: pow(a, 3, 5), "Value.__pow__() takes 2 positional arguments but 3 were given"),
        (lambda a: a.sum(axis="a"), "sum: axis must be a whole number, but is 'a'"),
        (lambda a: a.softmax(axis=0.5), "softmax: axis must be a whole number, but is 0.5"),
        (lambda a: a.reshape(1.5), "reshape: shape must be a whole number, but is 1.5"),
        (lambda a: a.swapaxes(0, None), "swapaxes: axis2 must be a whole number, but is None"),
        (lambda a: ndgrad.sigmoid(np.array(["a"])), "sigmoid: an operand must be numbers, but got dtype <U1"),
    ],
)
def test_errors_quote_the_argument(construct: Callable[[Value], Any], says: str) -> None:
    """The error names what was given, where, and what was expected."""
    with pytest.raises(TypeError, match=re.escape(says)):
        construct(Value([1.0, 2.0]))


# Conversions that leave a graph.


@pytest.mark.parametrize(
    "call",
    [
        lambda s: np.zeros(2).__setitem__(0, s),
        lambda s: np.zeros(2).fill(s),
        math.exp,
        lambda s: math.hypot(s, 1.0),
        float,
        complex,
        lambda s: np.sum(np.ones(3), initial=s),
        lambda s: np.ones(3).max(initial=s),
        lambda s: np.fromiter([s, s], float),
        lambda s: round(float(s), 2),
    ],
)
def test_a_conversion_to_float_warns(call: Callable[[Value], Any]) -> None:
    """A conversion to float by Python or NumPy warns, for a leaf and for a result."""
    for s in (Value(0.5, "s"), Value(0.5) * 2):
        with pytest.warns(UserWarning, match=r"float\(\) takes .* out of the graph: .* \.item\(\) or \.detach\(\)"):
            call(s)


def test_explicit_conversions_do_not_warn() -> None:
    """`item`, `detach`, formats, and conversions of constants do not warn."""
    s = Value(0.5) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert s.item() == math.exp(s.detach()) - math.e + 1.0 == float(Value(1.0, requires_grad=False))
        assert f"{s:.1f}" == "1.0"


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_results_inside_containers_are_not_copied_either(way: Callable[[Any], Any]) -> None:
    """A copy of a container with a result is an error, since the copy would have no graph."""
    y = Value(1.0) * 2
    if way is not copy.copy:
        with pytest.raises(TypeError, match="is part of a graph, which a copy or a pickle would leave"):
            way([y])
    assert copy.copy([y])[0] is y


# Options with default values.

X = Value([[1.0, 2.0], [3.0, 5.0]])


def evaluated(call: str, x: Any) -> Any:
    """Evaluate a call for an x."""
    return eval(call, {"np": np, "x": x})  # noqa: S307 - the calls below


@pytest.mark.parametrize(
    ("call", "plain"),
    [
        ("np.sum(x, out=None)", "np.sum(x)"),
        ("np.sum(x, 0, None)", "np.sum(x, 0)"),
        ("np.sum(x, 0, None, None, True)", "np.sum(x, 0, keepdims=True)"),
        ("np.sum(a=x, where=True)", "np.sum(x)"),
        ("np.add(x, x, where=True)", "x + x"),
        ('np.add(x, x, dtype=None, casting="same_kind", order="K", subok=True)', "x + x"),
        ("np.exp(x, None)", "np.exp(x)"),
        ("np.add.reduce(x, 1, None, None, True)", "np.sum(x, 1, keepdims=True)"),
        ("np.max(x, 0, None, True)", "np.max(x, 0, keepdims=True)"),
        ("np.std(x, None, None, None, 1)", "np.std(x, ddof=1)"),
        ("np.mean(x, axis=None, dtype=None, keepdims=False)", "np.mean(x)"),
        ('np.reshape(x, (4,), "C")', "np.reshape(x, 4)"),
        ("np.reshape(x, shape=(4,), copy=None)", "np.reshape(x, 4)"),
        ("np.concatenate([x, x], 0, None)", "np.concatenate([x, x])"),
        ("np.stack([x, x], 1, None, dtype=None)", "np.stack([x, x], 1)"),
        ("np.clip(x, 2.0, None, None)", "np.clip(x, 2.0, None)"),
        ("np.cumsum(x, None, None, None)", "np.cumsum(x)"),
        ("np.transpose(x, None)", "np.transpose(x)"),
        ("np.pad(array=x, pad_width=1)", "np.pad(x, 1)"),
        ("np.matmul(x, x, dtype=None)", "x @ x"),
    ],
)
def test_an_option_at_its_default_means_nothing(call: str, plain: str) -> None:
    """An option with its default value, by position or keyword, gives NumPy's result as a Value."""
    result = evaluated(call, X)
    assert isinstance(result, Value)
    np.testing.assert_array_equal(result.data, evaluated(plain, X.data), strict=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            "np.sum(x, dtype='f4')",
            "np.sum takes no dtype= when an operand is a Value: it takes x, axis, keepdims",
        ),
        ("np.sum(x, 0, np.float32)", "np.sum takes no dtype= when an operand is a Value"),
        ("np.add(x, x, where=[True, False])", "np.add takes no where= when an operand is a Value"),
        ("np.max(x, initial=0.0)", "np.max takes no initial= when an operand is a Value"),
        ("np.add.reduce(x, initial=1.0)", "np.add.reduce takes no initial= when an operand is a Value"),
        ('np.reshape(x, (4,), "F")', "np.reshape takes no order= when an operand is a Value"),
        ("np.clip(x, 0, 1, np.zeros((2, 2)))", "np.clip cannot write into an array (out=)"),
        ("np.linalg.solve(x, x)", "np.linalg.solve has no rule in ndgrad"),
        ("np.fft.rfft(x)", "np.fft.rfft has no rule in ndgrad"),
    ],
)
def test_an_option_that_means_something_is_refused_by_name(call: str, says: str) -> None:
    """An option with another value is an error with the function's full name, the option, and the valid ones."""
    with pytest.raises(TypeError, match=re.escape(says)):
        evaluated(call, X)
