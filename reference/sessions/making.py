"""Calls that make Values, and that drop them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch

from reference.engines.torch import Disturbance
from reference.sessions.drawing import (
    DTYPES,
    SHAPES,
    any_usable,
    at_least_one,
    numbers,
    only_small,
    some,
    usable,
)
from reference.sessions.expressions import made
from reference.sessions.mirror import Pair, Tensor
from reference.sessions.passing import pass_back_in_few_calls
from reference.sessions.session import Session
from reference.sessions.state import Computed
from reference.sessions.writing import pass_ones_back, write_into
from reference.source import Source, Unsuited, chance, pick

_DOUBLINGS = 30


def leaf(session: Session, source: Source) -> None:
    """A Value of a list or of an array, which is copied: the array may change afterwards."""
    _new(session, source, wanted=True)


def constant(session: Session, source: Source) -> None:
    """A Value that wants no gradient."""
    _new(session, source, wanted=False)


def _new(session: Session, source: Source, *, wanted: bool) -> None:
    array = numbers(source, pick(source, SHAPES), pick(source, (*DTYPES, "int64")))
    handed = array.dtype == np.float32 or chance(source, 60)
    given = session.hand(array) if handed else repr(array.tolist())
    name = session.letter()
    session.do(f"{name} = Value({given}{'' if wanted else ', requires_grad=False'})")
    tensor = torch.tensor(array if array.dtype == np.float32 else array.astype(float))  # whole numbers become floats
    session.pair(name, tensor.requires_grad_(wanted))
    if handed and chance(source, 50):
        write_into(session, given, 9)


def op(session: Session, source: Source) -> None:
    """An op on what is there. An index or a condition may change before it is passed back, for they are copied."""
    before = set(session.arrays)
    pair = made(session, source)
    new = [name for name, handed in session.arrays.items() if name not in before and handed.tensor is None]
    if new and pair.tensor.requires_grad and chance(source, 50):
        session.check()
        write_into(session, new[0], 0)
        pass_ones_back(session, pair)


# fmt: off
MODES: tuple[tuple[str, bool], ...] = (
    # a line in a mode                                                             joins the graph
    ("with no_grad():\n    {line}",                                                False),
    ("{name} = no_grad()(lambda: {expression})()",                                 False),
    ("with no_grad(), no_grad():\n    {line}",                                     False),
    ("with no_grad():\n    with no_grad():\n        pass\n    {line}",             False),
    ("quiet = no_grad()\nwith quiet:\n    with quiet:\n        pass\n    {line}",  False),
    ("quiet = no_grad()\nwith quiet:\n    pass\nwith quiet:\n    {line}",          False),
    ("with suppress(KeyError), no_grad():\n    {line}\n    raise KeyError",        False),
    ("with no_grad():\n    with suppress(KeyError), enable_grad():\n        raise KeyError\n    {line}", False),
    ("with no_grad():\n    with enable_grad():\n        pass\n    {line}",         False),
    ("with no_grad(), enable_grad():\n    {line}",                                 True),
    ("with enable_grad():\n    with no_grad():\n        pass\n    {line}",         True),
    ("with suppress(KeyError), no_grad():\n    raise KeyError\n{line}",            True),
    ("with no_grad():\n    pass\n{line}",                                          True),
)
# fmt: on


def in_a_mode(session: Session, source: Source) -> None:
    """An op under `no_grad` and its like: nested, entered again, left by an exception, as a decorator."""
    form, recorded = pick(source, MODES)
    made(session, source, None, form, recorded=recorded)


def index_array(session: Session, source: Source) -> None:
    """Rows by an array that may name one twice, and is the user's to change afterwards."""
    base = pick(source, at_least_one(p for p in usable(session) if p.tensor.ndim))
    rows = base.tensor.shape[0]
    index = np.array([source.integer(-rows, rows - 1) for _ in range(source.integer(2, 4))])
    given, places = session.hand(index), torch.tensor(index)
    _derived(session, f"{{0}} = {base.name}[{given}]", lambda x: x[places], base)
    if chance(source, 50):
        write_into(session, given, 0)


def viewed(session: Session, source: Source) -> None:
    """A view of a view, whose numbers change with those of what it was made of; and an op on it."""
    base = any_usable(session, source)
    way = pick(source, ["[None][0]", ".T.T", f".reshape(-1).reshape({tuple(base.tensor.shape)})", "[...][...]"])
    view = _derived(session, f"{{0}} = {base.name}{way}", lambda x: x.clone(), base)
    session.check()
    with suppress(Unsuited):  # the view has been made
        made(session, source, view)


def added_up(session: Session, source: Source) -> None:
    """One Value used again and again, by Python's own sum."""
    base = any_usable(session, source)
    times = source.integer(2, 6)
    only_small(base.tensor.detach() * times)

    def added(x: Tensor) -> Tensor:
        total = x
        for _ in range(times - 1):
            total = total + x
        return total

    _derived(session, f"{{0}} = sum([{base.name}] * {times})", added, base)


def rows(session: Session, source: Source) -> None:
    """Python's sum of a Value, row by row."""
    base = pick(source, at_least_one(p for p in usable(session) if p.tensor.ndim))
    only_small(base.tensor.detach() * base.tensor.shape[0])
    _derived(session, f"{{0}} = sum({base.name})", lambda x: functools.reduce(operator.add, x), base)


def augmented(session: Session, source: Source) -> None:
    """`x += y` gives the name to another Value, and leaves the one that had it as it was."""
    base = any_usable(session, source)
    number = pick(source, [1.0, 0.5, -2.0])
    sign, change = pick(source, [("+=", lambda x: x + number), ("*=", lambda x: x * number)])
    only_small(base.tensor.detach() * 3)
    _derived(session, f"{{0}} = {base.name}\n{{0}} {sign} {number}", change, base)


def chain(session: Session, source: Source) -> None:
    """So many nodes, one after the other, that recursion would not reach the end."""
    base = any_usable(session, source)
    rounds = source.integer(600, 750)

    def chained(x: Tensor) -> Tensor:
        for _ in range(rounds):
            x = x + 1.0 - 1.0
        return x

    line = f"{{0}} = {base.name}\nfor _ in range({rounds}):\n    {{0}} = {{0}} + 1.0 - 1.0"
    _derived(session, line, chained, base).nodes = 2 * rounds


def diamond(session: Session, source: Source) -> None:
    """Doublings, each of two paths: to visit every path would take a thousand million steps.

    They are passed back at once, and Python's calls are counted.
    """
    base = pick(source, at_least_one(p for p in usable(session) if p.tensor.requires_grad))

    def doubled(x: Tensor) -> Tensor:
        for _ in range(_DOUBLINGS):
            x = 0.5 * x
            x = x + x
        return x

    line = f"{{0}} = {base.name}\nfor _ in range({_DOUBLINGS}):\n    {{0}} = 0.5 * {{0}}\n    {{0}} = {{0}} + {{0}}"
    pair = _derived(session, line, doubled, base)
    pair.nodes = 2 * _DOUBLINGS
    session.check()
    pass_back_in_few_calls(session, pair)


def _derived(session: Session, line: str, function: Callable[..., Tensor], *bases: Pair) -> Pair:
    """Make a Value of others by lines that are no op of the table."""
    name = session.letter()
    y = session.graph.record(function, [base.tensor for base in bases], {})
    session.do(line.format(name))
    pair = session.pair(name, y, bases)

    def again(disturbance: Disturbance) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return {pair.value_name: function(*(disturbance.on(base.tensor.detach()) for base in bases)).numpy()}

    session.computed = Computed(again, frozenset({pair.value_name}), pair.single)
    return pair


def detached(session: Session, source: Source) -> None:
    """A constant with the numbers of another Value."""
    base = pick(source, usable(session))
    name = session.letter()
    session.do(f"{name} = {base.name}.detach()")
    session.pair(name, base.tensor.detach().clone(), single=base.single)


def copied(session: Session, source: Source) -> None:
    """A copy, or a pickle that is read again: a leaf of its own. And an op on both, which have the same numbers.

    Of a result the numbers alone are copied, for its graph cannot be.
    """
    base = any_usable(session, source)
    way = pick(source, ["copy.copy({})", "copy.deepcopy({})", "pickle.loads(pickle.dumps({}))"])
    name = session.letter()
    leaf = base.tensor.is_leaf
    session.do(f"{name} = {way.format(base.name if leaf else f'{base.name}.detach()')}")
    twin = base.tensor.detach().clone().requires_grad_(base.tensor.requires_grad and leaf)
    pair = session.pair(name, twin, single=base.single)
    if chance(source, 50):
        session.check()
        _derived(session, f"{{0}} = 0.5 * {base.name} - {name}", lambda x, y: 0.5 * x - y, base, pair)


def dropped(session: Session, source: Source) -> None:
    """Names are deleted, but for parameters. What no other name leads to is freed at once."""
    moved = {id(p) for optimizer in session.optimizers.values() for p in optimizer.params}
    names = [name for name, p in session.pairs.items() if id(p) not in moved][::-1]
    if not names:
        raise Unsuited
    session.forget(some(source, names, pick(source, [1, 1, 1, 2, 2, 3, 4, len(names)])))
