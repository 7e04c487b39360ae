"""Derivatives of functions agree with PyTorch, and do not affect graphs, gradients or arguments."""

from __future__ import annotations

import math
import re
from collections import namedtuple
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ndgrad
from ndgrad import Value, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Function: TypeAlias = Callable[..., Any]

X = np.array([0.5, -1.5, 2.0])
Y = np.array([[1.0, -2.0, 0.25], [3.0, 0.5, -1.0]])

# Functions of two arrays of these shapes, written so that arrays, Values and tensors accept them.
SCALARS: dict[str, Function] = {
    "product": lambda x, y: (y @ x).sum() * (x * x).sum(),
    "tanh": lambda x, y: (y * x).tanh().sum() + (x**3).sum(),
    "index": lambda x, y: x[0] * y[1, 2] * x[2] ** 2,
    "first alone": lambda x, y: (np.e**x * x).sum(),
    "one number": lambda x, y: ((x * x).sum() * (np.e**y).sum()).reshape(1),
}
ARRAYS: dict[str, Function] = {
    "matmul": lambda x, y: y @ (x * x),
    "broadcast": lambda x, y: (x * y).tanh() * x,
    "index": lambda x, y: y[1] * x[0] ** 2 - x,
    "second alone": lambda x, y: y * y,
    "identity": lambda x, y: x,
    "number": lambda x, y: (x * x).sum() * y.sum(),
    "linear": lambda x, y: 2 * x + y,
}


def tensors(*arrays: Any) -> list[torch.Tensor]:
    """Return the arrays as tensors."""
    return [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]


def close(actual: Any, expected: Any) -> None:
    """Assert that an array agrees with a tensor, to 1e-13 for sums in another order, in which a digit or two cancel."""
    assert isinstance(actual, np.ndarray)
    np.testing.assert_allclose(actual, expected.detach(), rtol=1e-13, atol=1e-14)
    assert actual.shape == tuple(expected.shape)


# Functions whose result is a single number.


@pytest.mark.parametrize("name", SCALARS)
def test_grad(name: str) -> None:
    """`grad` differentiates by the first argument, another one, or several in the given order."""
    f = SCALARS[name]
    x, y = tensors(X, Y)
    expected = torch.autograd.grad(f(x, y).sum(), (x, y), allow_unused=True, materialize_grads=True)
    close(grad(f)(X, Y), expected[0])
    close(grad(f, 1)(X, Y), expected[1])
    backwards = grad(f, (1, 0))(X, Y)
    assert type(backwards) is tuple
    close(backwards[0], expected[1])
    close(backwards[1], expected[0])
    assert type(grad(f, (0,))(X, Y)) is tuple


@pytest.mark.parametrize("name", SCALARS)
def test_value_and_grad(name: str) -> None:
    """`value_and_grad` returns the result and the gradient, both plain."""
    f = SCALARS[name]
    x, y = tensors(X, Y)
    value, gradient = value_and_grad(f)(X, Y)
    close(value, f(x, y))
    close(gradient, torch.autograd.grad(f(x, y).sum(), x)[0])
    _, both = value_and_grad(f, (0, 1))(X, Y)
    assert [g.shape for g in both] == [X.shape, Y.shape]


@pytest.mark.parametrize("shape", [(2,), (1, 2), (0,)])
def test_a_result_of_several_numbers_has_no_one_gradient(shape: tuple[int, ...]) -> None:
    """`grad` of a result with several numbers is an error, which has the shape and names alternatives."""
    says = f"grad needs a function whose result is one number, but it has shape {shape}; see vjp and jacobian"
    for derivative in (grad, value_and_grad):
        with pytest.raises(ValueError, match=re.escape(says)):
            derivative(lambda x: x * 2)(np.ones(shape))


def test_arguments_may_be_numbers_lists_and_whole() -> None:
    """Numbers, lists and integers become float64; float32 stays float32."""
    assert grad(lambda x: x * x)(3).tolist() == 6.0
    assert grad(lambda x: (x * x).sum())([1, 2]).tolist() == [2.0, 4.0]
    assert grad(lambda x: (x * x).sum())(np.array([1, 2])).dtype == np.float64
    value, gradient = value_and_grad(lambda x: (x * x).mean())(np.array([1, 2], np.float32))
    assert (value.dtype, gradient.dtype) == (np.float32, np.float32)


def test_functions_that_do_not_depend_on_it() -> None:
    """If the result does not depend on the argument, the gradient is zeros of its shape."""
    constants = [3.0, np.float32(3), np.array([[3.0]]), Value(3.0), Value(3.0, requires_grad=False)]
    for f in (lambda x, y: (y * y).sum(), *(lambda x, y, c=c: c for c in constants)):
        gradient = grad(f)(X, Y)
        assert type(gradient) is np.ndarray
        assert gradient.tolist() == [0.0, 0.0, 0.0]


def test_the_identity() -> None:
    """A function may return its argument."""
    assert grad(lambda x: x)(5.0).tolist() == 1.0
    value, gradient = value_and_grad(lambda x: x)(np.array([5.0]))
    assert (value.tolist(), gradient.tolist()) == ([5.0], [1.0])


def test_the_same_argument_twice() -> None:
    """Two positions are two arguments, even with the same array or Value."""
    for a in (X, Value(X)):
        first, second = grad(lambda x, y: (x * x * y).sum(), (0, 1))(a, a)
        np.testing.assert_array_equal(np.array((first * 1).tolist() if a is X else first.data), 2 * X * X)
        np.testing.assert_array_equal(np.array((second * 1).tolist() if a is X else second.data), X * X)


# vjp and jvp.


@pytest.mark.parametrize("name", ARRAYS)
def test_vjp(name: str) -> None:
    """`vjp` returns the result, and a pullback that can be called repeatedly, with any cotangent of its shape."""
    f = ARRAYS[name]
    x, y = tensors(X, Y)
    result, pullback = vjp(f, X, Y)
    expected = f(x, y)
    close(result, expected)
    for factor in (1.0, -3.0):
        u = factor * np.arange(1.0, 1 + result.size).reshape(result.shape)
        gradients = torch.autograd.grad(
            expected, (x, y), torch.tensor(u), allow_unused=True, materialize_grads=True, retain_graph=True
        )
        for ours, theirs in zip(pullback(u), gradients, strict=True):
            close(ours, theirs)
        for ours, theirs in zip(pullback(u.tolist()), gradients, strict=True):
            close(ours, theirs)


@pytest.mark.parametrize("shape", [(), (3,), (1, 2), (2, 1)])
def test_a_cotangent_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """A cotangent of another shape is an error with both shapes, even if it would broadcast."""
    _, pullback = vjp(lambda x: x * 2, np.ones(2))
    with pytest.raises(ValueError, match=re.escape(f"cotangent has shape {shape}, but the result has shape (2,)")):
        pullback(np.ones(shape))


@pytest.mark.parametrize("name", ARRAYS)
def test_jvp(name: str) -> None:
    """`jvp` returns the result and its directional derivative."""
    f = ARRAYS[name]
    moves = (np.array([1.0, -2.0, 0.5]), np.array([[0.5, 1.0, -1.0], [2.0, -0.25, 3.0]]))
    result, moved = jvp(f, (X, Y), moves)
    both = tuple(tensors(X, Y)), tuple(tensors(*moves))
    expected, change = torch.autograd.functional.jvp(f, *both)  # type: ignore[no-untyped-call]
    close(result, expected)
    close(moved, change)
    assert [r.tolist() for r in jvp(f, [X, Y], [m.tolist() for m in moves])] == [result.tolist(), moved.tolist()]


def test_tangents_fit_their_primals() -> None:
    """There must be a tangent of the right shape for each primal."""
    with pytest.raises(ValueError, match=re.escape("tangent has shape (2,), but its primal has shape (3,)")):
        jvp(lambda x: x, (X,), (np.ones(2),))
    with pytest.raises(ValueError, match="a tangent for each primal, but there are 0 for 1"):
        jvp(lambda x: x, (X,), ())


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [(lambda x: x**0.5, 0.0, math.inf), (lambda x: 1 / x, 2.0, -0.25), (lambda x: x.relu(), 0.0, 0.0),
     (lambda x: x.log(), 4.0, 0.25), (lambda x: x.std(), 1.0, 0.0)],
)  # fmt: skip
def test_forward_mode_at_poles_and_kinks(f: Function, at: float, slope: float) -> None:
    """At poles and kinks `jvp` gives the forward-mode result: a cotangent of 0 in its two passes is harmless."""
    assert grad(f)(at).tolist() == slope
    assert jvp(f, (at,), (1.0,))[1].tolist() == slope


# Jacobians and Hessians.


@pytest.mark.parametrize("argnum", [0, 1])
@pytest.mark.parametrize("name", ARRAYS)
def test_jacobian(name: str, argnum: int) -> None:
    """A Jacobian has the axes of the result, then those of the argument."""
    f = ARRAYS[name]
    x, y = tensors(X, Y)
    expected = torch.autograd.functional.jacobian(f, (x, y))[argnum]  # type: ignore[no-untyped-call]
    close(jacobian(f, argnum)(X, Y), expected)


@pytest.mark.parametrize("argnum", [0, 1])
@pytest.mark.parametrize("name", [name for name in SCALARS if name != "one number"])
def test_hessian(name: str, argnum: int) -> None:
    """A Hessian has the axes of the argument twice, and is symmetric."""
    f = SCALARS[name]
    expected = torch.autograd.functional.hessian(f, tuple(tensors(X, Y)))[argnum][argnum]  # type: ignore[no-untyped-call]
    ours = hessian(f, argnum)(X, Y)
    close(ours, expected)
    n = (X, Y)[argnum].size
    np.testing.assert_allclose(ours.reshape(n, n), ours.reshape(n, n).T, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in SCALARS if name != "one number"])
def test_hvp(name: str) -> None:
    """`hvp` is the Hessian times a vector."""

    def f(x: Any) -> Any:
        return SCALARS[name](x, torch.tensor(Y) if isinstance(x, torch.Tensor) else Value(Y).detach())

    v = np.array([1.0, -2.0, 0.5])
    (x,) = tensors(X)
    expected = torch.autograd.functional.hvp(f, x, torch.tensor(v))[1]  # type: ignore[no-untyped-call]
    close(hvp(f, X, v), expected)
    with pytest.raises(ValueError, match=re.escape("vector has shape (2,), but x has shape (3,)")):
        hvp(f, X, v[:2])


def test_matrices_without_slopes() -> None:
    """Jacobians of empty arrays and of constants, and Hessians of linear functions, are zeros of the right shape."""
    assert jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert jacobian(lambda x: x * 2)(np.zeros((2, 0))).shape == (2, 0, 2, 0)
    assert jacobian(lambda x: np.ones(2))(X).tolist() == [[0.0] * 3] * 2
    assert hessian(lambda x: (2 * x).sum())(X).tolist() == [[0.0] * 3] * 3
    assert hessian(lambda x: 5.0)(X).tolist() == [[0.0] * 3] * 3
    assert hvp(lambda x: x.sum(), X, X).tolist() == [0.0] * 3
    assert jvp(lambda x: 5.0, (X,), (X,))[1].tolist() == 0.0
    assert hessian(lambda x: x**3)(2.0).tolist() == 12.0


# Nesting.


def test_derivatives_nest() -> None:
    """`grad` nests to any order: all four derivatives of `x**4` are right."""
    f: Function = lambda x: x**4  # noqa: E731 - differentiated repeatedly
    for slope in (4 * 8.0, 12 * 4.0, 24 * 2.0, 24.0, 0.0):
        f = grad(f)
        assert f(2.0).tolist() == slope


def test_an_inner_derivative_does_not_see_the_outer_variable_move() -> None:
    """The derivative of `x * d(x + y)/dy` by x is 1, not 2: an inner derivative does not perturb the outer variable."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0).tolist() == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(3.0).tolist() == 6.0
    assert grad(lambda x: grad(lambda y: x * y * y)(x))(3.0).tolist() == 12.0


def test_all_kinds_nest() -> None:
    """Derivatives of Jacobians, pullbacks and Hessian-vector products agree with PyTorch."""
    (x,) = tensors(X)
    t = x.tanh()

    def bent(x: Value) -> Any:
        return jacobian(lambda z: ndgrad.tanh(z) * z)(x).sum()

    (expected,) = torch.autograd.grad((t + x * (1 - t * t)).sum(), x)
    close(grad(bent)(X), expected)
    close(grad(lambda x: (vjp(lambda z: z**3, x)[1](X)[0] * X).sum())(X), 6 * x * x**2)
    close(grad(lambda x: jvp(lambda z: z**3, (x,), (X,))[1].sum())(X), 6 * x * x)
    close(grad(lambda x: hvp(lambda z: (z**3).sum(), x, np.ones(3)).sum())(X), 6 * torch.ones(3))
    close(jvp(grad(lambda x: (x**3).sum()), (X,), (X,))[1], 6 * x * x)
    close(jacobian(grad(lambda x: (x**3).sum()))(X), torch.diag(6 * x))


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3))
def test_forward_over_reverse_and_reverse_over_forward(a: int, b: int, n: int) -> None:
    """Forward over reverse and reverse over forward give the exact second derivative of a polynomial of integers."""

    def f(x: Any) -> Any:
        return x * x * x * a + x * x * b

    wanted = float(6 * a * n + 2 * b)
    assert jvp(grad(f), (float(n),), (1.0,))[1].tolist() == wanted
    assert grad(lambda x: jvp(f, (x,), (1.0,))[1])(float(n)).tolist() == wanted
    assert hvp(f, float(n), 1.0).tolist() == wanted
    assert hessian(f)(float(n)).tolist() == wanted


# Arrays and Values.


PLAIN: dict[str, Function] = {
    "grad": grad(lambda x: (x**3).sum()),
    "value_and_grad": lambda x: value_and_grad(lambda z: (z**3).sum())(x)[0],
    "vjp": lambda x: vjp(lambda z: z**3, x)[1](np.ones(3))[0],
    "jvp": lambda x: jvp(lambda z: z**3, (x,), (np.ones(3),))[1],
    "jacobian": jacobian(lambda x: x**3),
    "hessian": hessian(lambda x: (x**4).sum()),
    "hvp": lambda x: hvp(lambda z: (z**4).sum(), x, X),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_in_plain_out(name: str) -> None:
    """For arrays, the outermost derivative returns arrays; for a Value, it returns recorded Values."""
    x = Value(X)
    plain, recorded = PLAIN[name](X), PLAIN[name](x)
    assert type(plain) is np.ndarray
    assert type(recorded) is Value
    assert recorded.data.tolist() == plain.tolist()
    recorded.sum().backward()
    assert x.grad.any()


def test_a_vector_that_records() -> None:
    """If a vector is a Value beside plain arrays, the result can be differentiated by it."""
    v = Value(X)
    product = hvp(lambda z: (z**3).sum(), X, v)
    assert type(product) is Value
    product.backward([1.0, 1.0, 1.0])
    assert v.grad.tolist() == (6 * X).tolist()
    v.zero_grad()
    moved = jvp(lambda z: z**2, (X,), (v,))[1]
    assert type(moved) is Value
    moved.backward([1.0, 1.0, 1.0])
    assert v.grad.tolist() == (2 * X).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_vector_that_records_whatever_is_around(dtype: type) -> None:
    """The same holds under no_grad and beside float32, and the vector itself is never returned."""
    x, v = Value(X.astype(dtype)), Value(X)
    with no_grad():
        made = [
            hvp(lambda z: (z**3).sum() / 3, x, v),
            jvp(lambda z: z**2, (x,), (v,))[1],
            vjp(lambda z: z**2, x)[1](v)[0],
            jvp(lambda z: z + 0, (x,), (v,))[1],
        ]
    for product, slope in zip(made, [2 * X, 2 * X, 2 * X, np.ones(3)], strict=True):
        assert product is not v
        assert product.dtype == dtype
        v.zero_grad()
        product.backward()
        np.testing.assert_allclose(v.grad, slope, rtol=1e-6)


@pytest.mark.parametrize("vector", [None, "1", 1j, np.array([1j]), np.array(["1"]), np.array([None])])
def test_a_vector_that_is_no_real_number_is_refused(vector: Any) -> None:
    """A vector that is not made of real numbers is an error, as for operands."""
    x = np.ones(np.shape(vector))
    for call in (
        lambda: hvp(lambda z: (z * z).sum(), x, vector),
        lambda: jvp(lambda z: z * z, (x,), (vector,)),
        lambda: vjp(lambda z: z * z, x)[1](vector),
    ):
        with pytest.raises(TypeError, match="real numbers"):
            call()


@pytest.mark.parametrize("result", [None, "abc", object(), {1.0}])
def test_a_function_that_gives_no_number_is_refused(result: Any) -> None:
    """A function that returns no number, for example because of a missing `return`, is an error."""
    says = f"must return a Value, a number or an array, but returned {type(result).__name__}"
    for derive in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(TypeError, match=says):
            derive(lambda x: result)(1.0)
    for call in (vjp, lambda f, x: jvp(f, (x,), (x,)), lambda f, x: hvp(f, x, x)):
        with pytest.raises(TypeError, match=says):
            call(lambda x: result, 1.0)


def test_what_does_not_depend_is_a_value_too() -> None:
    """For Values, also zeros are Values."""
    for derivative in (grad(lambda x, y: (x * x).sum(), 1), jacobian(lambda x, y: x * x, 1)):
        zeros = derivative(Value(X), Value(X))
        assert type(zeros) is Value
        assert not zeros.data.any()


def test_a_gradient_through_a_value_reaches_its_graph() -> None:
    """If an argument is the result of an op, the derivative can be differentiated down to the leaf."""
    leaf = Value(2.0)
    slope = grad(lambda x: x**3)(leaf * leaf)
    slope.backward()
    assert slope.item() == 48.0
    assert leaf.grad == 12 * 2.0**3  # of 3 x⁴


def test_a_constant_argument() -> None:
    """A Value with `requires_grad=False` as an argument is differentiated by, and unchanged."""
    c = Value(3.0, requires_grad=False)
    assert grad(lambda x: x * x)(c).item() == 6.0
    assert not c.requires_grad
    assert not c.has_grad


# Side effects.


def test_gradients_outside_are_not_touched() -> None:
    """Gradients of Values that the function uses are unchanged, and an argument used as a global is a constant."""
    w, x = Value(5.0), Value(3.0)
    w.grad = 7.0
    slope = grad(lambda z: z * w * x)(x)
    assert slope.item() == 15.0
    assert (w.grad, x.has_grad, w.has_grad) == (7.0, False, True)
    assert grad(lambda z: z * w)(3.0).tolist() == 5.0
    assert w.grad == 7.0


def test_arguments_are_not_written_into() -> None:
    """Arguments, results and cotangents are not written to."""
    x, u = X.copy(), np.ones(3)
    x.flags.writeable = u.flags.writeable = False
    result, pullback = vjp(lambda z: z.tanh() * z, x)
    first = pullback(u)[0].copy()
    assert pullback(u)[0].tolist() == first.tolist()
    jacobian(lambda z: z * z)(x)
    assert x.tolist() == X.tolist()
    assert result.tolist() == (np.tanh(X) * X).tolist()


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize(
    "f", [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x, lambda x, y: x * 1 + y.reshape(y.shape)]
)
def test_what_can_be_written_into_is_not_shared(f: Function, shape: tuple[int, ...]) -> None:
    """Gradients, results, arguments and cotangents do not share memory."""
    arrays = [np.full(shape, 2.0), np.full(shape, 3.0), np.ones(shape)]
    result, pullback = vjp(f, *arrays[:2])
    arrays += [result, *pullback(arrays[2]), *pullback(arrays[2])]
    if shape == ():
        value, gradients = value_and_grad(f, (0, 1))(*arrays[:2])
        arrays += [value, *gradients]
    writable = [a for a in arrays if a.flags.writeable]
    for i, one in enumerate(writable):
        assert not any(np.shares_memory(one, other) for other in writable[:i])


@pytest.mark.parametrize("f", [lambda x: x.exp(), lambda x: x * x, lambda x: x, lambda x: x.sum() * x])
def test_a_result_that_is_written_into_changes_no_gradient(f: Function) -> None:
    """A write to the result does not change the gradient of a later call of the pullback."""
    result, pullback = vjp(f, X)
    before = pullback(X)[0].tolist()
    if result.flags.writeable:
        result[:] = 9
    assert pullback(X)[0].tolist() == before


def test_an_error_inside_leaves_no_mode_behind() -> None:
    """After an error inside, plain arguments give plain results."""
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: x * (1 // 0))(1.0)
    with pytest.raises(ValueError, match="one number"):
        grad(grad(lambda z: z))(X)
    assert type(grad(lambda x: x * x)(3.0)) is np.ndarray


def test_under_no_grad() -> None:
    """`no_grad` around a derivative does not change it; inside the function it makes constants."""
    with no_grad():
        assert grad(lambda x: x * x)(3.0).tolist() == 6.0
        assert jvp(lambda x: x * x, (3.0,), (1.0,))[1].tolist() == 6.0
        assert hessian(lambda x: x**3)(2.0).tolist() == 12.0
    with no_grad():
        assert not (Value(1.0) * 2).requires_grad

    def stopped(x: Value) -> Value:
        with no_grad():
            y = x * x
        return y * x

    assert grad(stopped)(3.0).tolist() == 9.0


# Differentiated arguments and others.


def test_other_arguments_are_left_as_they_are() -> None:
    """Other arguments reach the function unchanged, by position, by keyword, and by default."""
    seen: list[Any] = []

    def f(x: Value, *rest: Any, power: Any = 2, **options: Any) -> Value:
        seen.append((rest, power, options))
        return x**power if rest[0] is True else x

    data = np.ones(3)
    rest = (True, "mean", None, data)
    for derive in (grad, jacobian, hessian):
        assert derive(f)(2.0, *rest, power=3, axis=0) == 12.0
    assert vjp(lambda x, power: x**power, 2.0, 3)[0] == 8.0
    for (flag, word, nothing, array), power, options in seen:
        assert (flag, word, nothing, power, options) == (True, "mean", None, 3, {"axis": 0})
        assert array is data


def test_a_value_among_the_other_arguments_is_recorded() -> None:
    """The derivative can be differentiated by a Value among the other arguments."""
    w = Value(3.0)
    for args, options in (((2.0, w), {}), ((2.0,), {"w": w}), ((2.0, [w]), {})):
        w.zero_grad()
        slope = grad(lambda x, w: x**2 * (w[0] if isinstance(w, list) else w))(*args, **options)
        assert (slope.item(), w.has_grad) == (12.0, False)
        slope.backward()
        assert w.grad == 4.0


Pair = namedtuple("Pair", "weight bias")  # noqa: PYI024 - as users write it

TREES: dict[str, Any] = {
    "list": [np.array([1.0, 2.0]), 3.0],
    "tuple": (np.array([1.0, 2.0]), np.array(3.0)),
    "dict": {"w": np.array([1.0, 2.0]), "b": 3.0},
    "nested": {"layer": [np.array([1.0, 2.0]), (3.0, None)]},
    "named": Pair(np.array([1.0, 2.0]), 3.0),
    "ragged": [[1.0, 2.0], 3.0],
}


def parts(tree: Any) -> tuple[Any, Any]:
    """Return the array and the number of a tree."""
    if isinstance(tree, dict) and "layer" in tree:
        w, (b, nothing) = tree["layer"]
        assert nothing is None
        return w, b
    w, b = tree.values() if isinstance(tree, dict) else tree
    return w, b


@pytest.mark.parametrize("name", TREES)
def test_trees_of_arguments(name: str) -> None:
    """Gradients, products and Hessians have the structure of an argument that is a tree; None stays None."""

    def f(tree: Any, scale: float = 1.0) -> Any:
        w, b = parts(tree)
        return scale * (w * w).sum() * b

    tree = TREES[name]
    w, b = parts(grad(f)(tree))
    assert (w.tolist(), b) == ([6.0, 12.0], 5.0)
    assert type(grad(f)(tree)) is type(tree)
    value, (w, b) = value_and_grad(f)(tree, scale=2.0)[0], parts(value_and_grad(f)(tree, scale=2.0)[1])
    assert (value, w.tolist(), b) == (30.0, [12.0, 24.0], 10.0)
    assert [g.tolist() for g in parts(vjp(f, tree)[1](1.0)[0])] == [[6.0, 12.0], 5.0]
    assert jvp(f, (tree,), (tree,))[1] == 3 * 15.0  # Euler's theorem: f has degree 3
    assert [g.tolist() for g in parts(hvp(f, tree, tree))] == [[12.0, 24.0], 10.0]
    rows = [[block.tolist() for block in parts(row)] for row in parts(hessian(f)(tree))]
    assert rows == [[[[6.0, 0.0], [0.0, 6.0]], [2.0, 4.0]], [[2.0, 4.0], 0.0]]


def test_trees_of_results() -> None:
    """For a function that returns a tree, the Jacobian, the pullback and the tangents have its structure."""

    def f(x: Value) -> dict[str, Any]:
        return {"square": x * x, "sums": [x.sum(), 3.0]}

    x = np.array([1.0, 2.0])
    slopes = jacobian(f)(x)
    assert slopes["square"].tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert [s.tolist() for s in slopes["sums"]] == [[1.0, 1.0], [0.0, 0.0]]
    y, pullback = vjp(f, x)
    assert (y["square"].tolist(), y["sums"][0], y["sums"][1]) == ([1.0, 4.0], 3.0, 3.0)
    assert pullback({"square": [1.0, 10.0], "sums": [100.0, 7.0]})[0].tolist() == [102.0, 140.0]
    moved = jvp(f, (x,), ([1.0, 0.0],))[1]
    assert (moved["square"].tolist(), moved["sums"][0], moved["sums"][1]) == ([2.0, 0.0], 1.0, 0.0)
    with pytest.raises(ValueError, match="the cotangent and the result must have the same structure"):
        pullback({"square": [1.0, 10.0]})
    with pytest.raises(TypeError, match=r"one number, but got a dict; see jacobian"):
        grad(f)(x)


def test_several_arguments() -> None:
    """`argnums` may be a tuple or a list, also negative, and derivatives form a tuple in this order."""
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])

    def f(x: Any, y: Any) -> Any:
        return (x * x * y).sum()

    for argnums in ((0, 1), [0, 1], (0, -1)):
        assert [g.tolist() for g in grad(f, argnums)(x, y)] == [[6.0, 16.0], [1.0, 4.0]]
    assert [g.tolist() for g in grad(f, (1, 0))(x, y)] == [[1.0, 4.0], [6.0, 16.0]]
    assert grad(f, -1)(x, y).tolist() == [1.0, 4.0]
    assert [g.tolist() for g in jacobian(lambda x, y: x * y, (0, 1))(x, y)] == [[[3, 0], [0, 4]], [[1, 0], [0, 2]]]
    (xx, xy), (yx, yy) = hessian(f, (0, 1))(x, y)
    assert (xx.tolist(), yy.tolist()) == ([[6.0, 0.0], [0.0, 8.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert xy.tolist() == yx.T.tolist() == [[2.0, 0.0], [0.0, 4.0]]


@pytest.mark.parametrize(
    ("argnums", "error", "says"),
    [
        (5, ValueError, "argnums asks for argument 5, but the function was called with 2 by position"),
        (-3, ValueError, "argnums asks for argument -3, but the function was called with 2 by position"),
        ((0, 2), ValueError, "argnums asks for argument 2"),
        ((0, -2), ValueError, "argnums names an argument twice: (0, -2)"),
        ((), TypeError, "argnums must be the position of an argument, or several in a sequence, but is ()"),
        ("x", TypeError, "argnums must be the position of an argument, or several in a sequence, but is 'x'"),
        (True, TypeError, "but is True"),
        (1.0, TypeError, "but is 1.0"),
    ],
)
def test_positions_that_are_none(argnums: Any, error: type[Exception], says: str) -> None:
    """Invalid positions are errors that say what was given."""
    for derive in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(error, match=re.escape(says)):
            derive(lambda x, y: x * y, argnums)(1.0, 2.0)


@pytest.mark.parametrize(
    "f",
    [np.argmax, lambda x: x > 0, lambda x: np.argsort(x)[0], lambda x: bool(x[0] > 0), lambda x: x.data.astype(int)[0]],
)
def test_a_result_that_is_no_float_has_no_gradient(f: Function) -> None:
    """Results of integers or booleans are errors, since a gradient of zeros would hide a mistake."""
    for derive in (grad, value_and_grad, jacobian, lambda f: lambda x: vjp(f, x)):
        with pytest.raises(TypeError, match=r"must return floats, but returned (int|bool)"):
            derive(f)(X)


def test_trees_that_do_not_match() -> None:
    """A tangent or vector of another structure is an error, which says where they differ."""
    tree = {"w": X, "b": [1.0, None]}
    for call in (
        lambda: jvp(lambda t: t["w"].sum(), (tree,), ({"w": X},)),
        lambda: hvp(lambda t: t["w"].sum(), tree, {"w": X, "b": 1.0, "c": 2.0}),
    ):
        with pytest.raises(ValueError, match="must have the same structure, but one has a dict of 'w', 'b'"):
            call()
    with pytest.raises(ValueError, match=re.escape("vector has shape (2,), but x has shape (3,)")):
        hvp(lambda t: (t["w"] ** 2).sum(), tree, {"w": X[:2], "b": [1.0, None]})
