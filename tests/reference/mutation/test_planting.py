"""Each way of planting a fault has its effect inside the context and is undone after it, even after an error."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from ndgrad.engine import record
from ndgrad.engine.arrays import describe
from ndgrad.engine.backward import accumulate
from ndgrad.engine.recording import unary
from ndgrad.rules import RULES
from reference.mutation import planting
from reference.mutation.planting import Plant, plain


class Left(Exception):  # noqa: N818 - not an error: it leaves a context
    """Raised to leave a context."""


# Targets: ndgrad, and a few objects of this file.

OFFSET = 10


class Base:
    """A base class."""

    def inherited(self) -> str:
        """Return the class it belongs to."""
        return "base"


class Thing(Base):
    """A class with a method and a property."""

    def __init__(self) -> None:
        self._number = 1

    def method(self, x: int) -> int:
        """Add and multiply."""
        y = x + 1
        return y * OFFSET

    @property
    def number(self) -> int:
        """A number."""
        return self._number

    @number.setter
    def number(self, number: int) -> None:
        self._number = number


TABLE = {"key": "right", "other": "right"}


def slopes(op: str, *operands: Any) -> list[float]:
    """Return the gradients of an op's operands for a cotangent of 3."""
    values = [Value(x) for x in operands]
    RULES[op](*values).backward(np.asarray(3.0))
    return [float(value.grad) for value in values]


def recorded_slope() -> float:
    """Return the recorded slope of sigmoid at 0, for which the residual is recomputed."""
    x = Value(0.0)
    ndgrad.sigmoid(x).backward(create_graph=True)
    return float(x.grad.data)


def recorded() -> bool:
    """Whether the gradient of exp is recorded."""
    x = Value(2.0)
    ndgrad.exp(x).backward(create_graph=True)
    return isinstance(x.grad, Value) and x.grad.requires_grad


def refused() -> str:
    """Return an error's name for an operand, from a function that other modules import by name."""
    with pytest.raises(TypeError) as caught:
        record(RULES["add"], (Value(1.0), None), {})
    return str(caught.value).rpartition("got ")[2]


def written() -> int:
    """Write a property and read it."""
    thing = Thing()
    thing.number = 5
    return thing.number


# fmt: off
WAYS: dict[str, tuple[Plant, Callable[[], Any], Any, Any]] = {
    # the plant
    #    the observation                           right               wrong
    "pullback":   (planting.pullback("multiply", 1, lambda g, y, a, b: g * b),
         lambda: slopes("multiply", 2.0, 5.0),     [15.0, 6.0],        [15.0, 15.0]),
    "around":     (planting.around("add", 0, lambda right: lambda *args: -right(*args)),
         lambda: slopes("add", 2.0, 5.0),          [3.0, 3.0],         [-3.0, 3.0]),
    "scaled":     (planting.scaled("subtract", 1, 0.5),
         lambda: slopes("subtract", 2.0, 5.0),     [3.0, -3.0],        [3.0, -1.5]),
    "unrecorded": (planting.unrecorded("exp", 0),
         recorded,                                 True,               False),
    "forward":    (planting.forward("add", lambda a, b: a - b),
         lambda: [(Value(2.0) + 5.0).item()],      [7.0],              [-3.0]),
    "residual":   (planting.residual("sigmoid", lambda y, x: y * 0.0 + 4.0),
         recorded_slope,                           0.25,               2.0),
    "bind":       (planting.bind("negative", lambda x: ((x * 2,), {})),
         lambda: float(ndgrad.negative(3.0)),      -3.0,               -6.0),
    "attribute":  (planting.attribute(Thing, "method", lambda thing, x: x),
         lambda: Thing().method(1),                20,                 1),
    "inherited":  (planting.attribute(Thing, "inherited", lambda thing: "thing"),
         lambda: Thing().inherited(),              "base",             "thing"),
    "new":        (planting.attribute(Thing, "added", 1),
         lambda: getattr(Thing, "added", None),    None,               1),
    "method":     (planting.method(Thing, "method", lambda right: lambda thing, x: -right(thing, x + 1)),
         lambda: Thing().method(1),                20,                 -30),
    "function":   (planting.function(describe, lambda right: lambda x: f"no {right(x)}"),
         refused,                                  "None",             "no None"),
    "static":     (planting.function(accumulate, lambda right: lambda roots, *, create_graph: None),
         lambda: slopes("add", 2.0, 5.0),          [3.0, 3.0],         [0.0, 0.0]),
    "entry":      (planting.entry(TABLE, "key", "wrong"),
         lambda: TABLE["key"],                     "right",            "wrong"),
    "getter":     (planting.getter(Thing, "number", lambda right: lambda thing: -right(thing)),
         written,                                  5,                  -5),
    "setter":     (planting.setter(Thing, "number", lambda right: lambda thing, number: right(thing, 2 * number)),
         written,                                  5,                  10),
    "attached":   (planting.attached(planting.function(unary, lambda right: lambda rule: lambda x: rule.__name__)),
         lambda: str(-Value(1.0)),                 "Value(data=-1.0)", "negative"),
    "together":   (planting.together(planting.entry(TABLE, "key", 1), planting.entry(TABLE, "other", 2)),
         lambda: list(TABLE.values()),             ["right"] * 2,      [1, 2]),
}
# fmt: on


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_shows_while_it_lasts(way: str) -> None:
    """The result is right before the context, wrong as intended inside it, and right afterwards; and so once more."""
    plant, ask, right, wrong = WAYS[way]
    assert ask() == right
    for _ in range(2):
        with plant():
            assert ask() == wrong
        assert ask() == right


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_goes_with_an_error(way: str) -> None:
    """A fault is undone if an error leaves the context, and the error propagates."""
    plant, ask, right, _ = WAYS[way]
    with pytest.raises(Left), plant():
        raise Left
    assert ask() == right


def test_every_way_is_tried() -> None:
    """Each planting function of the module is in the table above."""
    offered = {
        name
        for name, thing in vars(planting).items()
        if inspect.isfunction(thing) and thing.__module__ == planting.__name__ and not name.startswith("_")
    }
    assert offered - set(WAYS) == {"plain"}


def test_nothing_is_planted_before_it_is_entered() -> None:
    """Making a context changes nothing until it is entered."""
    for plant, ask, right, _ in WAYS.values():
        plant()
        assert ask() == right


def test_a_new_attribute_is_gone_after_it() -> None:
    """An attribute that was missing or inherited is removed from the class afterwards."""
    before = set(vars(Thing))
    for way in ("inherited", "new"):
        with WAYS[way][0]():
            assert set(vars(Thing)) > before
        assert set(vars(Thing)) == before


def test_faults_of_one_rule_may_overlap() -> None:
    """A second fault may be planted inside the first, which lasts after the second ends."""
    with planting.scaled("multiply", 0, 2.0)():
        with planting.scaled("multiply", 0, 5.0)():
            assert slopes("multiply", 2.0, 5.0) == [150.0, 6.0]
        assert slopes("multiply", 2.0, 5.0) == [30.0, 6.0]
    assert slopes("multiply", 2.0, 5.0) == [15.0, 6.0]


# Seams.


@pytest.mark.parametrize("way", WAYS)
def test_a_seam_is_called_where_a_fault_shows(way: str) -> None:
    """The observation of each fault calls its seams, and is right if these are replaced by the right callables."""
    plant, ask, right, _ = WAYS[way]
    for seam in plant.seams or ():
        calls: list[Any] = []
        with seam.replaced(noting(calls)):
            assert ask() == right
        assert calls


def noting(calls: list[Any]) -> planting.Change:
    """Note the arguments of each call."""

    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(right)
        def same(*args: Any, **options: Any) -> Any:
            calls.append(args)
            return right(*args, **options)

        return same

    return change


def test_changes_without_a_call_have_no_seams() -> None:
    """A new attribute, an entry of a dictionary and operators made again show without a call of a seam."""
    assert {way for way, (plant, *_) in WAYS.items() if plant.seams is None} == {"new", "entry", "attached", "together"}


def test_changes_together_have_the_seams_of_each() -> None:
    """Changes planted together have the seams of all of them, or none if one has none."""
    method, function, entry = (WAYS[way][0] for way in ("method", "function", "entry"))
    assert planting.together(method, function).seams == (method.seams or frozenset()) | (function.seams or frozenset())
    assert planting.together(method, function, entry).seams is None


def test_a_method_has_one_seam_however_it_is_inherited() -> None:
    """The seam of an inherited method is that of the base class."""
    ways = [planting.method(owner, "inherited", lambda right: right).seams for owner in (Thing, Base)]
    assert ways[0] == ways[1] != WAYS["method"][0].seams


# What cannot be planted.


def test_a_foreign_function_is_refused() -> None:
    """A function that no module of ndgrad has is refused."""
    with pytest.raises(ValueError, match=r"^no module of ndgrad has the function recorded$"):
        planting.function(recorded, lambda right: right)().__enter__()


def test_nothing_is_planted_by_halves() -> None:
    """If the second of two faults cannot be planted, the first is undone."""
    plant = planting.together(planting.entry(TABLE, "key", 1), planting.function(recorded, lambda right: right))
    with pytest.raises(ValueError, match="no module"), plant():
        pass
    assert TABLE["key"] == "right"


def test_a_missing_key_is_refused() -> None:
    """A missing key is refused: entries are replaced, never added."""
    with pytest.raises(KeyError), planting.entry(TABLE, "neither", 1)():
        pass
    assert set(TABLE) == {"key", "other"}


# Several at once.


@contextmanager
def noted(notes: list[str], name: str) -> Iterator[None]:
    """Record when a context begins and ends."""
    notes.append(f"{name} begins")
    try:
        yield
    finally:
        notes.append(f"{name} ends")


def test_changes_planted_together_are_undone_in_reverse() -> None:
    """Changes planted together are undone in reverse order, even after an error."""
    notes: list[str] = []
    with suppress(Left), planting.together(Plant(lambda: noted(notes, "a")), Plant(lambda: noted(notes, "b")))():
        raise Left
    assert notes == ["a begins", "b begins", "b ends", "a ends"]


# Plain arrays.


def test_plain_takes_a_value_out_of_the_graph() -> None:
    """plain returns a Value's data, and anything else unchanged."""
    value, array = Value([1.0]), np.ones(2)
    assert plain(value) is value.data
    assert plain(array) is array
    assert plain(2) == 2


def test_an_unrecorded_pullback_is_right_at_first_order() -> None:
    """An unrecorded pullback gives the right gradients, with any operands and options."""
    x = Value([[1.0, 2.0], [3.0, 5.0]])
    with planting.unrecorded("logsumexp", 0)():
        ndgrad.logsumexp(x, axis=1).backward(np.array([1.0, 2.0]))
    wrong = x.grad
    x.zero_grad()
    ndgrad.logsumexp(x, axis=1).backward(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(wrong, x.grad)


def test_a_wrong_forward_shows_in_every_spelling() -> None:
    """A wrong forward function shows in every spelling: operator, method, ndgrad's function and NumPy's."""
    x = Value([2.0])
    with planting.forward("multiply", lambda a, b: a + b)():
        faces = [x * 5.0, 5.0 * x, ndgrad.multiply(x, 5.0), np.multiply(x, 5.0)]
        assert [face.data.tolist() for face in faces] == [[7.0]] * 4
    with planting.forward("exp", lambda a: -a)():
        assert [face.data.tolist() for face in (x.exp(), ndgrad.exp(x), np.exp(x))] == [[-2.0]] * 3
    assert (x * 5.0).data == 10.0
