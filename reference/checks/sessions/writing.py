"""Calls that write into data, between passes or before one, and into arrays that were passed to the engine."""

from __future__ import annotations

import numpy as np

from reference.checks.sessions.drawing import latest_first, numbers, require_small, roots, usable
from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.engines.lines import Write
from reference.ops.source import Source, Unsuited, chance, pick


def data_written(session: Session, source: Source) -> None:
    """Change a value's numbers."""
    _write(session, source, pick(source, usable(session)))


def wrong_moment(session: Session, source: Source) -> None:
    """Change numbers that a graph was computed from, then run backward: it must be right, or be refused."""
    root = pick(source, roots(session)[:4])  # one of the latest
    inside = latest_first(p for p in root.ancestors() if p.name in session.pairs and not p.stale)
    likely = [p for p in inside if p.is_leaf]  # parameters are what users change
    _write(session, source, pick(source, likely if likely and chance(source, 70) else inside))
    session.check()
    backward_from_ones(session, root)


def _write(session: Session, source: Source, pair: Pair) -> None:
    """Change a value's numbers by augmented assignment or by subscript.

    A subscript is used only if the engine can notice it or no graph needs the numbers.
    """
    if not session.speaker.may_write(session.space[pair.name], is_result=pair.is_result):
        raise Unsuited
    unneeded = not pair.is_result and not session.is_used(pair)
    often = 4 if session.careful else int(unneeded)
    write: Write = pick(source, session.lines.writes + session.lines.subscript_writes * often)
    gradient = pair.gradient if pair.gradient is not None else np.zeros_like(pair.numbers)
    new = np.asarray(write.change(pair.numbers, gradient), pair.numbers.dtype)
    require_small(new)
    _overwrite(session, pair, write.form.format(pair.name), new, in_place=write.in_place)


def data_assigned(session: Session, source: Source) -> None:
    """Assign numbers from a list or an array. The array is copied, and may change afterwards."""
    pair = pick(source, usable(session))
    if not session.speaker.may_assign(is_result=pair.is_result):
        raise Unsuited
    array = numbers(source, pair.numbers.shape, pick(source, session.lines.dtypes))
    is_array = chance(source, 70)
    given = session.users_array(array) if is_array else repr(array.tolist())
    line = session.lines.assigned.format(name=pair.name, given=given)
    _overwrite(session, pair, line, array, in_place=session.lines.assigned_in_place)
    if is_array and chance(source, 50):
        session.check()
        write_into(session, given, 9)


def _overwrite(session: Session, pair: Pair, line: str, new: np.ndarray, *, in_place: bool) -> None:
    session.overwrite(pair, in_place=in_place)
    session.do(line)
    pair.numbers[...] = new


def array_written(session: Session, source: Source) -> None:
    """Write into an array that was passed to the engine, such as an index, and run backward.

    An array that is an operand is written into only if the engine can notice it.
    """
    own = [name for name, users in session.arrays.items() if name[0] == "n"
           and (users.operand is None or session.careful)]  # fmt: skip
    write_into(session, pick(source, latest_first(own)), pick(source, [9, -1]))
    wanting = [p for p in session.pairs.values() if p.requires_grad and not p.spent]
    if wanting:
        session.check()
        backward_from_ones(session, pick(source, wanting[::-1]))


def backward_from_ones(session: Session, root: Pair) -> None:
    """Run backward without a cotangent."""
    session.backward(root, "", np.ones_like(root.numbers))


def write_into(session: Session, name: str, number: int) -> None:
    """Fill an array of the user's with a number."""
    session.do(f"{name}[...] = {session.space[name].dtype.type(number).item()!r}")
    operand = session.arrays[name].operand
    if operand is not None:
        session.reference.overwrite(operand)
        session.reference.data(operand)[...] = session.space[name]
    session.refresh(name)
