"""Calls that make values, and that drop them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from reference.checks.sessions.drawing import latest_first, numbers, pick_some, pick_usable, require_small, usable
from reference.checks.sessions.expressions import apply_drawn_op
from reference.checks.sessions.gradients import backward_in_few_calls
from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Computed
from reference.checks.sessions.writing import backward_from_ones, write_into
from reference.engines import Noise
from reference.ops.source import Source, Unsuited, chance, pick

_DOUBLINGS = 30


def leaf(session: Session, source: Source) -> None:
    """A value of a list or of an array, which is copied: the array may change afterwards."""
    _new(session, source, session.lines.leaf, wanted=True)


def constant(session: Session, source: Source) -> None:
    """A value that wants no gradient."""
    _new(session, source, session.lines.constant, wanted=False)


def _new(session: Session, source: Source, form: str, *, wanted: bool) -> None:
    array = numbers(source, pick(source, session.lines.shapes), pick(source, session.lines.leaf_dtypes))
    is_array = array.dtype == np.float32 or chance(source, 60)
    given = session.users_array(array) if is_array else repr(array.tolist())
    name = session.letter()
    session.do(form.format(name=name, given=given))
    floats = array if array.dtype == np.float32 else array.astype(float)  # whole numbers become floats
    session.pair(name, session.reference.leaf(floats, wanted=wanted))
    if is_array and chance(source, 50):
        write_into(session, given, 9)


def op(session: Session, source: Source) -> None:
    """An op on what is there. An index or a condition may change before it is passed back, for they are copied."""
    before = set(session.arrays)
    pair = apply_drawn_op(session, source)
    new = [name for name, users in session.arrays.items() if name not in before and users.operand is None]
    if session.lines.indexed and new and pair.requires_grad and chance(source, 50):
        session.check()
        write_into(session, new[0], 0)
        backward_from_ones(session, pair)


def in_a_mode(session: Session, source: Source) -> None:
    """An op in a mode: nested, entered again, left by an exception, as a decorator."""
    form, recorded = pick(source, session.lines.modes)
    apply_drawn_op(session, source, None, form, recorded=recorded)


def index_array(session: Session, source: Source) -> None:
    """Rows by an array that may name one twice, and is the user's to change afterwards."""
    base = pick(source, latest_first(p for p in usable(session) if p.numbers.ndim))
    rows = base.numbers.shape[0]
    index = np.array([source.integer(-rows, rows - 1) for _ in range(source.integer(2, 4))])
    given = session.users_array(index)
    _derived(session, session.lines.indexed, lambda x: x[index], base, given=given)
    if chance(source, 50):
        write_into(session, given, 0)


def viewed(session: Session, source: Source) -> None:
    """A view of a view, whose numbers change with those of what it was made of; and an op on it."""
    base = pick_usable(session, source)
    way = pick(source, session.lines.views)
    view = _derived(session, f"{{name}} = {way}", lambda x: x, base, shape=base.numbers.shape)
    session.check()
    with suppress(Unsuited):  # the view has been made
        apply_drawn_op(session, source, view)


def added_up(session: Session, source: Source) -> None:
    """One value used again and again; or a sum of two new ones, to both of which one array arrives."""
    if session.lines.joined and chance(source, 60):
        _joined(session, source)
        return
    base = pick_usable(session, source)
    times = source.integer(2, 6)
    require_small(base.numbers * times)

    def added(x: Any) -> Any:
        return functools.reduce(operator.add, [x] * times)

    _derived(session, session.lines.summed, added, base, times=times)


def _joined(session: Session, source: Source) -> None:
    """Two new leaves of one shape are added, and passed back to: each must get a gradient of its own."""
    shape = pick(source, session.lines.shapes)
    leaves = []
    for _ in range(2):
        array, name = numbers(source, shape), session.letter()
        session.do(session.lines.leaf.format(name=name, given=repr(array.tolist())))
        leaves.append(session.pair(name, session.reference.leaf(array)))
    pair = _derived(session, session.lines.joined, operator.add, *leaves)
    session.check()
    backward_from_ones(session, pair)


def rows(session: Session, source: Source) -> None:
    """The sum of a value, row by row."""
    base = pick(source, latest_first(p for p in usable(session) if p.numbers.ndim))
    require_small(base.numbers * base.numbers.shape[0])
    _derived(session, session.lines.rows, lambda x: functools.reduce(operator.add, x), base)


def augmented(session: Session, source: Source) -> None:
    """`x += y` gives the name to another value, and leaves the one that had it as it was."""
    base = pick_usable(session, source)
    number = pick(source, [1.0, 0.5, -2.0])
    line, change = pick(source, session.lines.augmented)
    require_small(base.numbers * 3)
    _derived(session, line, lambda x: change(x, number), base, number=number)


def chain(session: Session, source: Source) -> None:
    """So many nodes, one after the other, that recursion would not reach the end."""
    base = pick_usable(session, source)
    rounds = source.integer(600, 750)

    def chained(x: Any) -> Any:
        for _ in range(rounds):
            x = x + 1.0 - 1.0
        return x

    _derived(session, session.lines.chain, chained, base, times=rounds).nodes = 2 * rounds


def diamond(session: Session, source: Source) -> None:
    """Doublings, each of two paths: to visit every path would take a thousand million steps.

    They are passed back at once, and Python's calls are counted.
    """
    base = pick(source, latest_first(p for p in usable(session) if p.requires_grad))

    def doubled(x: Any) -> Any:
        for _ in range(_DOUBLINGS):
            x = 0.5 * x
            x = x + x
        return x

    pair = _derived(session, session.lines.diamonds, doubled, base, times=_DOUBLINGS)
    pair.nodes = 2 * _DOUBLINGS
    session.check()
    backward_in_few_calls(session, pair)


def _derived(session: Session, line: str, function: Callable[..., Any], *bases: Pair, **words: Any) -> Pair:
    """Make a value of others by lines that are no op of the table; the words fill in what the lines leave open."""
    name = session.letter()
    y = session.reference.record(function, [base.theirs for base in bases])
    session.do(line.format(name=name, base=bases[0].name, other=bases[-1].name, **words))
    pair = session.pair(name, y, bases)

    def again(noise: Noise) -> dict[str, np.ndarray]:
        return {pair.value_name: session.reference.computed(function, [base.theirs for base in bases], noise)}

    session.computed = Computed(again, frozenset({pair.value_name}), pair.single)
    return pair


def detached(session: Session, source: Source) -> None:
    """A constant with the numbers of another value."""
    base = pick(source, usable(session))
    name = session.letter()
    session.do(session.lines.detached.format(name=name, base=base.name))
    session.pair(name, session.reference.leaf(base.numbers, wanted=False), single=base.single)


def copied(session: Session, source: Source) -> None:
    """A copy, or a pickle that is read again: a leaf of its own. And an op on both, which have the same numbers.

    Of a result the numbers alone are copied, for its graph cannot be.
    """
    base = pick_usable(session, source)
    way = pick(source, session.lines.copies)
    name = session.letter()
    detached = session.lines.detached.format(name="{name}", base=base.name).partition(" = ")[2]
    session.do(f"{name} = {way.format(base=detached if base.is_result else base.name)}")
    twin = session.reference.leaf(base.numbers, wanted=base.is_leaf)
    pair = session.pair(name, twin, single=base.single)
    if session.lines.halved and chance(source, 50):
        session.check()
        _derived(session, session.lines.halved, lambda x, y: 0.5 * x - y, base, pair)


def dropped(session: Session, source: Source) -> None:
    """Names are deleted, but for parameters. What no other name leads to is freed at once."""
    moved = {id(p) for optimizer in session.optimizers.values() for p in optimizer.params}
    names = [name for name, p in session.pairs.items() if id(p) not in moved][::-1]
    if not names:
        raise Unsuited
    session.forget(pick_some(source, names, pick(source, [1, 1, 1, 2, 2, 3, 4, len(names)])))
