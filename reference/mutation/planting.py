"""Faults, and the ways to plant them: a context plants a fault in `ndgrad` from outside, and removes it afterwards.

Faults are planted at the seams of `ndgrad`: the forward functions and pullbacks of rules, functions, methods and
attributes. Each is replaced by a wrong one, which mostly calls the right one and changes its arguments or its result.
A plant tells its seams, so that calls of them can be recorded: a fault cannot show in a case without such a call. No
source is read, so the way that `ndgrad` is written does not matter. The tables in `faults` list the faults. This module
does not know how they are found.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from ndgrad.engine import Value, attach
from ndgrad.rules import RULES

Change: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]  # from the right callable to the wrong one


@dataclass(frozen=True)
class Seam:
    """A place where `ndgrad` calls something that can be replaced: a function, a method, a pullback of a rule ...

    Args:
        kind: `kind(*place, change)` makes the context in which `change(right)` is called there.
        place: the place among those of its kind.
    """

    kind: Callable[..., AbstractContextManager[None]]
    place: tuple[Any, ...]

    def replaced(self, change: Change) -> AbstractContextManager[None]:
        """Replace the callable by `change(right)`."""
        return self.kind(*self.place, change)

    @property
    def remakes_operators(self) -> bool:
        """Whether a replacement makes Value's operators and methods anew, and so removes earlier replacements of them."""
        return self.kind is _member


@dataclass(frozen=True)
class Plant:
    """A way to plant a fault. Calling it makes the context in which `ndgrad` has the fault.

    Args:
        context: makes the context.
        seams: the places where it replaces callables. A case that calls none of these is the same with the fault as
            without it. None if it changes anything else, or leaves a changed state for later cases.
    """

    context: Callable[[], AbstractContextManager[None]]
    seams: frozenset[Seam] | None = None

    def __call__(self) -> AbstractContextManager[None]:
        """Make the context."""
        return self.context()


@dataclass(frozen=True)
class Fault:
    """A bug that is planted on purpose.

    Args:
        name: its name in the tables: the entry of the collection, and the op.
        what: what is wrong, in a sentence.
        source: where the real bug was seen: a tracker's entry, `folklore`, or `ours`.
        rows: the rows of the op table that it breaks; none if it is in the engine or the library as a whole.
        plant: makes the context in which `ndgrad` has the fault.
    """

    name: str
    what: str
    source: str
    rows: tuple[str, ...]
    plant: Plant


UNCHANGED = Plant(nullcontext, frozenset())  # the right engine


def _at(seam: Seam, change: Change) -> Plant:
    return Plant(lambda: seam.replaced(change), frozenset({seam}))


# Members of rules.


def pullback(op: str, position: int, wrong: Callable[..., Any]) -> Plant:
    """Replace the pullback of an op for one operand."""
    return around(op, position, lambda right: wrong)


def around(op: str, position: int, change: Change) -> Plant:
    """Replace a pullback by `change(right)`."""
    return _at(Seam(_pullback, (op, position)), change)


def scaled(op: str, position: int, factor: float) -> Plant:
    """Scale the result of the right pullback."""
    return around(op, position, lambda right: lambda *args, **options: right(*args, **options) * factor)


def unrecorded(op: str, position: int) -> Plant:
    """Let a pullback compute on plain arrays: it is right at first order, but cannot be differentiated."""

    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: right(*map(plain, args), **{k: plain(v) for k, v in options.items()})

    return around(op, position, change)


@contextmanager
def _pullback(op: str, position: int, change: Change) -> Iterator[None]:
    rule = RULES[op]
    right = rule.pullbacks
    wrong = list(right)
    wrong[position] = change(right[position])  # type: ignore[arg-type] # there is one
    rule.pullbacks = tuple(wrong)
    try:
        yield
    finally:
        rule.pullbacks = right


def forward(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace an op's forward function by `wrong(*operands, **options)`, which has the same kind of result."""
    return _at(_forward(op), lambda right: wrong)


def residual(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace the function that recomputes the residual of an op.

    Its seam is the forward function: `lean()` reads the names of the residual's parameters when the op is recorded.
    """
    return Plant(lambda: _member(op, "residual", lambda right: wrong), frozenset({_forward(op)}))


def bind(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace the function that turns an op's arguments into operands and options."""
    return _at(Seam(_member, (op, "bind")), lambda right: wrong)


def _forward(op: str) -> Seam:
    return Seam(_member, (op, "forward"))


@contextmanager
def _member(op: str, name: str, change: Change) -> Iterator[None]:
    rule = RULES[op]
    right = getattr(rule, name)
    setattr(rule, name, change(right))
    attach(op, rule)  # operators hold the rule's forward function
    try:
        yield
    finally:
        setattr(rule, name, right)
        attach(op, rule)


# Functions, methods and attributes.


def function(right: Callable[..., Any], change: Change) -> Plant:
    """Replace a function by `change(right)` in each module and class of `ndgrad` that has it."""
    return _at(Seam(_function, (right,)), change)


@contextmanager
def _function(right: Callable[..., Any], change: Change) -> Iterator[None]:
    places, wrong = list(_places(right)), change(right)
    if not places:
        raise ValueError(f"no module of ndgrad has the function {right.__qualname__}")
    with ExitStack() as stack:
        for owner, name, kind in places:
            stack.enter_context(_attribute(owner, name, kind(wrong)))
        yield


def _places(right: Callable[..., Any]) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Yield each place of a function: the module or class, the name, and a wrapper such as staticmethod."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "ndgrad"]
    for module in modules:
        yield from ((module, name, lambda wrong: wrong) for name, thing in vars(module).items() if thing is right)
    for kind in {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}:
        if kind.__module__.split(".")[0] == "ndgrad":
            yield from ((kind, name, staticmethod) for name, thing in vars(kind).items() if _is_static(thing, right))


def _is_static(thing: Any, function: Callable[..., Any]) -> bool:
    return isinstance(thing, staticmethod) and thing.__func__ is function


def method(owner: Any, name: str, change: Change) -> Plant:
    """Replace a method by `change(right)`.

    The seam of an inherited method is that of the base class: a replacement in a subclass would hide that one.
    """
    bases = (base for base in getattr(owner, "__mro__", ()) if name in vars(base))
    return Plant(lambda: _method(owner, name, change), frozenset({Seam(_method, (next(bases, owner), name))}))


def _method(owner: Any, name: str, change: Change) -> AbstractContextManager[None]:
    return _attribute(owner, name, change(getattr(owner, name)))


def getter(owner: type, name: str, change: Change) -> Plant:
    """Replace the getter of a property."""
    return _at(Seam(_getter, (owner, name)), change)


def _getter(owner: type, name: str, change: Change) -> AbstractContextManager[None]:
    right = inspect.getattr_static(owner, name)
    return _attribute(owner, name, right.getter(change(right.fget)))


def setter(owner: type, name: str, change: Change) -> Plant:
    """Replace the setter of a property."""
    return _at(Seam(_setter, (owner, name)), change)


def _setter(owner: type, name: str, change: Change) -> AbstractContextManager[None]:
    right = inspect.getattr_static(owner, name)
    return _attribute(owner, name, right.setter(change(right.fset)))


def attribute(owner: Any, name: str, wrong: Any) -> Plant:
    """Replace an attribute of a module, a class or an object. Only a function in place of a function has a seam."""
    right = inspect.getattr_static(owner, name, None)
    if inspect.isfunction(right) and inspect.isfunction(wrong):
        return method(owner, name, lambda right: wrong)
    return Plant(lambda: _attribute(owner, name, wrong))


@contextmanager
def _attribute(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    own = name in vars(owner)
    right = inspect.getattr_static(owner, name, None)  # None for a new attribute
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, right)
        else:
            delattr(owner, name)


# Anything else.


def together(*plants: Plant) -> Plant:
    """Plant several changes at once, which form one bug."""

    @contextmanager
    def all_of_them() -> Iterator[None]:
        with ExitStack() as stack:
            for plant in plants:
                stack.enter_context(plant())
            yield

    seams = [plant.seams for plant in plants if plant.seams is not None]
    return Plant(all_of_them, frozenset().union(*seams) if len(seams) == len(plants) else None)


def entry(table: MutableMapping[Any, Any], key: Any, wrong: Any) -> Plant:
    """Replace a dictionary's value for a key."""
    return Plant(lambda: _entry(table, key, wrong))


@contextmanager
def _entry(table: MutableMapping[Any, Any], key: Any, wrong: Any) -> Iterator[None]:
    right = table[key]
    table[key] = wrong
    try:
        yield
    finally:
        table[key] = right


def attached(plant: Plant) -> Plant:
    """Plant a change in what operators and methods are made from, and make them again."""

    @contextmanager
    def with_new_operators() -> Iterator[None]:
        try:
            with plant():
                _attach_all()
                yield
        finally:
            _attach_all()

    return Plant(with_new_operators)


def _attach_all() -> None:
    for name, rule in RULES.items():
        attach(name, rule)


def plain(x: Any) -> Any:
    """Return the array of a Value, and anything else unchanged. Computations on it are not recorded."""
    return x.data if isinstance(x, Value) else x
