"""Faults, and the ways to plant them: a context plants a fault in `ndgrad` from outside, and removes it afterwards.

Faults are planted at the seams of `ndgrad`: the forward functions and pullbacks of rules, functions, methods and
attributes. Each is replaced by a wrong one, which mostly calls the right one and changes its arguments or its result.
No source is read, so the way that `ndgrad` is written does not matter. The tables in `faults` list the faults. This
module does not know how they are found.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from ndgrad.engine import Value, attach
from ndgrad.rules import RULES

Plant: TypeAlias = Callable[[], AbstractContextManager[None]]
Change: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]  # from the right function to the wrong one


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


@dataclass(frozen=True)
class AtPullback:
    """Replaces a pullback by what `change` makes of the right one. Where that pullback is not called, nothing changes.

    Args:
        op: whose pullback.
        position: towards which operand.
        change: from the right pullback to the wrong one.
    """

    op: str
    position: int
    change: Change

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Plant it."""
        rule = RULES[self.op]
        right = rule.pullbacks
        wrong = list(right)
        wrong[self.position] = self.change(right[self.position])  # type: ignore[arg-type] # there is one
        rule.pullbacks = tuple(wrong)
        try:
            yield
        finally:
            rule.pullbacks = right


def pullback(op: str, position: int, wrong: Callable[..., Any]) -> Plant:
    """Replace the pullback of an op for one operand."""
    return AtPullback(op, position, lambda right: wrong)


def around(op: str, position: int, change: Change) -> Plant:
    """Replace a pullback by `change(right)`."""
    return AtPullback(op, position, change)


def scaled(op: str, position: int, factor: float) -> Plant:
    """Scale the result of the right pullback."""
    return around(op, position, lambda right: lambda *args, **options: right(*args, **options) * factor)


def forward(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace an op's forward function by `wrong(*operands, **options)`, which has the same kind of result."""
    return lambda: _rule(op, "forward", wrong)


def residual(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace the function that recomputes the residual of an op."""
    return lambda: _rule(op, "residual", wrong)


def bind(op: str, wrong: Callable[..., Any]) -> Plant:
    """Replace the function that turns an op's arguments into operands and options."""
    return lambda: _rule(op, "bind", wrong)


@contextmanager
def _rule(op: str, name: str, wrong: Any) -> Iterator[None]:
    rule = RULES[op]
    right = getattr(rule, name)
    setattr(rule, name, wrong)
    attach(op, rule)  # operators hold the rule's forward function
    try:
        yield
    finally:
        setattr(rule, name, right)
        attach(op, rule)


def attribute(owner: Any, name: str, wrong: Any) -> Plant:
    """Replace an attribute of a module, a class or an object."""
    return lambda: _attribute(owner, name, wrong)


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


def function(right: Callable[..., Any], change: Change) -> Plant:
    """Replace a function by `change(right)` in each module and class of `ndgrad` that has it."""
    return lambda: _function(right, change(right))


@contextmanager
def _function(right: Callable[..., Any], wrong: Callable[..., Any]) -> Iterator[None]:
    places = list(_places(right))
    if not places:
        raise ValueError(f"no module of ndgrad has the function {right.__qualname__}")
    with together(*(attribute(owner, name, kind(wrong)) for owner, name, kind in places))():
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


def method(owner: type, name: str, change: Change) -> Plant:
    """Replace a method by `change(right)`."""
    return lambda: _attribute(owner, name, change(getattr(owner, name)))


def getter(owner: type, name: str, change: Change) -> Plant:
    """Replace the getter of a property."""
    return lambda: _attribute(owner, name, _property(owner, name).getter(change(_property(owner, name).fget)))


def setter(owner: type, name: str, change: Change) -> Plant:
    """Replace the setter of a property."""
    return lambda: _attribute(owner, name, _property(owner, name).setter(change(_property(owner, name).fset)))


def _property(owner: type, name: str) -> Any:
    return inspect.getattr_static(owner, name)


def together(*plants: Plant) -> Plant:
    """Plant several changes at once, which form one bug."""

    @contextmanager
    def all_of_them() -> Iterator[None]:
        with ExitStack() as stack:
            for plant in plants:
                stack.enter_context(plant())
            yield

    return all_of_them


def plain(x: Any) -> Any:
    """Return the array of a Value, and anything else unchanged. Computations on it are not recorded."""
    return x.data if isinstance(x, Value) else x


def unrecorded(op: str, position: int) -> Plant:
    """Let a pullback compute on plain arrays: it is right at first order, but cannot be differentiated."""

    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: right(*map(plain, args), **{k: plain(v) for k, v in options.items()})

    return around(op, position, change)


def entry(table: MutableMapping[Any, Any], key: Any, wrong: Any) -> Plant:
    """Replace a dictionary's value for a key."""
    return lambda: _entry(table, key, wrong)


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

    return with_new_operators


def _attach_all() -> None:
    for name, rule in RULES.items():
        attach(name, rule)
