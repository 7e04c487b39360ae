"""Calls that make values and drop them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from reference.checks.sessions.drawing import latest_first, numbers, pick_some, pick_usable, require_small, usable
from reference.checks.sessions.expressions import apply_random_op
from reference.checks.sessions.gradients import backward_in_few_calls
from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Computed
from reference.checks.sessions.writing import backward_from_ones, write_into
from reference.engines import Noise
from reference.ops.source import Source, Unsuited, chance, pick

_DOUBLINGS = 30


def leaf(session: Session, source: Source) -> None:
    """Make a leaf from a list or an array. The array is copied, and may change afterwards."""
    _new(session, source, session.lines.leaf, wanted=True)


def constant(session: Session, source: Source) -> None:
    """Make a value that requires no gradient."""
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
    """Apply an op. Its index or condition is copied, and may change before the backward pass."""
    before = set(session.arrays)
    pair = apply_random_op(session, source)
    new = [name for name, users in session.arrays.items() if name not in before and users.operand is None]
    if session.lines.indexed and new and pair.requires_grad and chance(source, 50):
        session.check()
        write_into(session, new[0], 0)
        backward_from_ones(session, pair)


def in_a_mode(session: Session, source: Source) -> None:
    """Apply an op in a mode: nested, reentered, left by an exception, or as a decorator."""
    form, recorded = pick(source, session.lines.modes)
    apply_random_op(session, source, None, form, recorded=recorded)


def index_array(session: Session, source: Source) -> None:
    """Index rows by an array, which may repeat a row, and which the user may change afterwards."""
    base = pick(source, latest_first(p for p in usable(session) if p.numbers.ndim))
    rows = base.numbers.shape[0]
    index = np.array([source.integer(-rows, rows - 1) for _ in range(source.integer(2, 4))])
    given = session.users_array(index)
    _derived(session, session.lines.indexed, lambda x: x[index], base, given=given)
    if chance(source, 50):
        write_into(session, given, 0)


def viewed(session: Session, source: Source) -> None:
    """Make a view of a view, whose numbers change with those of its base, and apply an op to it."""
    base = pick_usable(session, source)
    way = pick(source, session.lines.views)
    view = _derived(session, f"{{name}} = {way}", lambda x: x, base, shape=base.numbers.shape)
    session.check()
    with suppress(Unsuited):  # the view has been made
        apply_random_op(session, source, view)


def added_up(session: Session, source: Source) -> None:
    """Add one value to itself several times; or add two new leaves, both of which receive the same array."""
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
    """Add two new leaves of one shape and run backward: each must get a gradient array of its own."""
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
    """Add up the rows of a value."""
    base = pick(source, latest_first(p for p in usable(session) if p.numbers.ndim))
    require_small(base.numbers * base.numbers.shape[0])
    _derived(session, session.lines.rows, lambda x: functools.reduce(operator.add, x), base)


def augmented(session: Session, source: Source) -> None:
    """Run `x += y`: it assigns the name to a new value and leaves the old value unchanged."""
    base = pick_usable(session, source)
    number = pick(source, [1.0, 0.5, -2.0])
    line, change = pick(source, session.lines.augmented)
    require_small(base.numbers * 3)
    _derived(session, line, lambda x: change(x, number), base, number=number)


def chain(session: Session, source: Source) -> None:
    """Make a chain of so many nodes that recursion would fail."""
    base = pick_usable(session, source)
    rounds = source.integer(600, 750)

    def chained(x: Any) -> Any:
        for _ in range(rounds):
            x = x + 1.0 - 1.0
        return x

    _derived(session, session.lines.chain, chained, base, times=rounds).nodes = 2 * rounds


def diamond(session: Session, source: Source) -> None:
    """Make 30 diamonds in a row: visiting every path would take a thousand million steps.

    The backward pass is run at once, and its function calls are counted.
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
    """Make a value by lines that are not an op of the table; the words fill in their templates."""
    name = session.letter()
    y = session.reference.record(function, [base.theirs for base in bases])
    session.do(line.format(name=name, base=bases[0].name, other=bases[-1].name, **words))
    pair = session.pair(name, y, bases)

    def again(noise: Noise) -> dict[str, np.ndarray]:
        return {pair.value_name: session.reference.computed(function, [base.theirs for base in bases], noise)}

    session.computed = Computed(again, frozenset({pair.value_name}), pair.single)
    return pair


def detached(session: Session, source: Source) -> None:
    """Detach a value: a constant with its numbers."""
    base = pick(source, usable(session))
    name = session.letter()
    session.do(session.lines.detached.format(name=name, base=base.name))
    session.pair(name, session.reference.leaf(base.numbers, wanted=False), single=base.single)


def copied(session: Session, source: Source) -> None:
    """Copy or pickle a value, which gives a new leaf; and apply an op to both, which have the same numbers.

    Of a result only the numbers are copied, since its graph cannot be.
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
    """Delete names, but not those of parameters. Values that nothing else refers to must be freed at once."""
    moved = {id(p) for optimizer in session.optimizers.values() for p in optimizer.params}
    names = [name for name, p in session.pairs.items() if id(p) not in moved][::-1]
    if not names:
        raise Unsuited
    session.forget(pick_some(source, names, pick(source, [1, 1, 1, 2, 2, 3, 4, len(names)])))
