"""lean(): a graph that keeps only what pullbacks read, and gives the leaves the same gradients."""

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


def drawn(number: int) -> list[Program]:
    """Random programs of any ops."""
    programs = []
    for i in range(number):
        try:
            programs.append(draw_program(Seeded("lean", i), None))
        except Unsuited:
            continue
    return programs


def test_leaves_get_the_same_gradients_to_the_bit() -> None:
    """Of 300 random programs, derivatives of derivatives among them, each has the same outcome."""
    engine = NdgradEngine()
    for program in drawn(300):
        whole = engine.again(program)
        with lean():
            little = engine.again(program)
        assert str(whole.error) == str(little.error), program
        for part in ("values", "gradients", "second"):
            for a, b in zip(getattr(whole, part), getattr(little, part), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=str(program))


def held(build: Callable[[Value], Value]) -> tuple[bool, Value]:
    """Whether the array of an inner Value outlives it, in the graph of what was built of it."""
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
        (lambda x: x * 2.0, False),  # towards x the other factor is read, and the constant gets no gradient
        (lambda x: x * x, True),
        (lambda x: x.tanh(), False),  # whose slope is told by its result
        (lambda x: x.sum(), False),
        (lambda x: x.sin(), True),
        (lambda x: x / 2.0, False),
        (lambda x: 2.0 / x, True),
    ],
)
def test_an_array_that_no_pullback_reads_is_let_go(build: Callable[[Value], Value], *, read: bool) -> None:
    """Under lean() it goes with its Value; without, the graph keeps it."""
    assert held(build)[0]
    with lean():
        kept, _ = held(build)
    assert kept is read


def test_inner_values_keep_their_numbers_while_they_are_held() -> None:
    """Who holds an inner Value can read it, and go on from it; it gets no gradient."""
    with lean():
        x = Value([1.0, 2.0])
        y = x * 3.0
        (y + 1.0).sum().backward()
    np.testing.assert_array_equal(y.data, [3.0, 6.0])
    assert not y.has_grad
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0 + 18.0, 3.0 + 36.0])


def test_a_write_to_what_the_way_back_reads_is_noticed() -> None:
    """Assigned after it was used, an inner Value is refused, as without lean()."""
    with lean():
        x = Value([1.0, 2.0])
        y = x * 3.0
        z = (y * y).sum()
    y.data += 1.0
    with pytest.raises(RuntimeError, match="changed after it was used"):
        z.backward()
    assert not x.has_grad


def test_a_write_by_subscript_is_noticed_where_writes_are_checked() -> None:
    """check_writes() and lean() together: what the way back reads is compared, and the rest is not asked for."""
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
    """The numbers of inner Values are not there, and the error names lean()."""
    with lean():
        y = (Value([1.0, 2.0]) * 3.0).exp().sum()
    with pytest.raises(RuntimeError, match="lean\\(\\), which keeps only the numbers that pullbacks read"):
        ndgrad.draw_dot(y)


def test_it_nests_with_the_other_modes() -> None:
    """Inside no_grad there is no graph; after it, the outer mode holds again."""
    with lean():
        x = Value([1.0, 2.0])
        with no_grad():
            assert not (x * 2.0).requires_grad
        assert hasattr(x * 2.0, "_trace")
    assert not hasattr(x * 2.0, "_trace")


def test_from_several_values() -> None:
    """One of them inside the graph of another: the leaves get what they get without, and the nodes no gradient."""

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
    """In one pass, its inner nodes show their gradients as they do alone."""
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
    """A step of an MLP gives every parameter the gradient that it has without."""

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
def test_what_a_rule_says_it_does_not_read_it_does_not_read(name: str) -> None:
    """Told by their code, and shown on 40 programs: `lean` raises where a pullback reads what was not kept."""
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
