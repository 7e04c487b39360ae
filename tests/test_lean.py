"""`lean()`: the graph stores only numbers that pullbacks read, and the gradients of leaves are the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import MLP, Value, check_writes, lean, no_grad
from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine
from reference.ops.source import Seeded, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program


def draw_programs(number: int) -> list[Program]:
    """Draw random programs of all ops."""
    programs = []
    for i in range(number):
        try:
            programs.append(draw_program(Seeded("lean", i), None))
        except Unsuited:
            continue
    return programs


def test_leaves_get_the_same_gradients_to_the_bit() -> None:
    """The outcomes of 300 random programs, including second derivatives, are bitwise the same under `lean()`."""
    engine = NdgradEngine()
    for program in draw_programs(300):
        whole = engine.again(program)
        with lean():
            little = engine.again(program)
        assert str(whole.error) == str(little.error), program
        for part in ("values", "gradients", "second"):
            for a, b in zip(getattr(whole, part), getattr(little, part), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=str(program))


def held(build: Callable[[Value], Value]) -> tuple[bool, Value]:
    """Return whether the array of an inner Value outlives it in the graph of the result."""
    x = Value(np.linspace(0.5, 1.5, 3))
    inner = x + 1.0
    y = build(inner)
    array = weakref.ref(inner.data)
    del inner
    gc.collect()
    return array() is not None, y


@pytest.mark.parametrize(
    ("build", "read"),
    [
        (lambda x: x + 1.0, False),
        (lambda x: x * 2.0, False),  # the other factor is read for x, and the constant gets no gradient
        (lambda x: x * x, True),
        (lambda x: x.tanh(), False),  # the slope is computed from the result
        (lambda x: x.sum(), False),
        (lambda x: x.sin(), True),
        (lambda x: x / 2.0, False),
        (lambda x: 2.0 / x, True),
    ],
)
def test_an_array_that_no_pullback_reads_is_freed(build: Callable[[Value], Value], *, read: bool) -> None:
    """Under `lean()` an array that no pullback reads is freed with its Value; otherwise the graph keeps it."""
    assert held(build)[0]
    with lean():
        is_alive, _ = held(build)
    assert is_alive is read


def test_inner_values_keep_their_numbers_while_they_are_held() -> None:
    """An inner Value that is referenced can be read and used further; it gets no gradient."""
    with lean():
        x = Value([1.0, 2.0])
        y = x * 3.0
        (y + 1.0).sum().backward()
    np.testing.assert_array_equal(y.data, [3.0, 6.0])
    assert not y.has_grad
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0 + 18.0, 3.0 + 36.0])


def test_a_write_that_a_pullback_reads_is_detected() -> None:
    """An assignment to an inner Value that a pullback reads is an error, as without `lean()`."""
    with lean():
        x = Value([1.0, 2.0])
        y = x * 3.0
        z = (y * y).sum()
    y.data += 1.0
    with pytest.raises(RuntimeError, match="changed after it was used"):
        z.backward()
    assert not x.has_grad


def test_a_write_by_subscript_is_noticed_where_writes_are_checked() -> None:
    """With `check_writes()` and `lean()`, numbers that pullbacks read are compared, and others are not needed."""
    with check_writes(), lean():
        x = Value([1.0, 2.0])
        y = x * 3.0
        z = ((y * y) + 1.0).sum()
    z.backward()
    np.testing.assert_array_equal(x.grad, [18.0, 36.0])
    y.data[0] = 9.0
    with pytest.raises(RuntimeError, match="changed after it was used"):
        z.backward()
    np.testing.assert_array_equal(x.grad, [18.0, 36.0])


def test_pictures_say_why_they_cannot_be_drawn() -> None:
    """Pictures need the numbers of inner Values, and the error names `lean()`."""
    with lean():
        y = (Value([1.0, 2.0]) * 3.0).exp().sum()
    with pytest.raises(RuntimeError, match="lean\\(\\), which keeps only the numbers that pullbacks read"):
        ndgrad.draw_dot(y)


def test_it_nests_with_the_other_modes() -> None:
    """`lean()` nests with other modes: inside `no_grad` there is no graph, and afterwards the outer mode applies."""
    with lean():
        x = Value([1.0, 2.0])
        with no_grad():
            assert not (x * 2.0).requires_grad
        assert hasattr(x * 2.0, "_trace")
    assert not hasattr(x * 2.0, "_trace")


def test_from_several_values() -> None:
    """A pass from several Values, one computed from another, gives leaves the same gradients, and nodes none."""

    def gradients() -> tuple[Any, bool]:
        x = Value([1.0, -2.0])
        h = x.exp()
        y = h.tanh() * x
        ndgrad.backward([h, y], [np.array([3.0, 0.5]), None])
        return x.grad, h.has_grad

    whole, shown = gradients()
    with lean():
        little, still_shown = gradients()
    np.testing.assert_array_equal(whole, little)
    assert (shown, still_shown) == (True, False)


def test_beside_a_value_that_is_not_lean() -> None:
    """In a pass together with an ordinary Value, the inner nodes of that have gradients."""
    x = Value([1.0, -2.0])
    h = x.exp()
    y = h.tanh()
    with lean():
        z = x.sin() * x
    for values in ([y, z], [z, y]):
        h.zero_grad()
        ndgrad.backward(values)
        assert h.has_grad


def test_a_network_trains_under_it() -> None:
    """A training step of an MLP gives every parameter the same gradient."""

    def gradients() -> list[Any]:
        model = MLP(3, [4, 4, 1], rng=0)
        ((model(np.linspace(-1, 1, 12).reshape(4, 3)) - np.array([1.0, -1, -1, 1])) ** 2).sum().backward()
        return [p.grad for p in model.parameters()]

    whole = gradients()
    with lean():
        little = gradients()
    for a, b in zip(whole, little, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", RULES)
def test_pullbacks_read_only_what_their_signatures_say(name: str) -> None:
    """Rules do not read what their signatures say they do not: `lean` would raise in one of 40 programs."""
    engine = NdgradEngine()
    met = 0
    for i in range(40):
        try:
            program = draw_program(Seeded("reads", name, i), name)
        except Unsuited:
            continue
        with lean():
            outcome = engine.again(program)
        assert "lean()" not in str(outcome.error), program
        met += 1
    assert met > 20
