"""Calls that write: into data, between passes or at the wrong moment, and into arrays that were handed in."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reference.sessions.drawing import DTYPES, at_least_one, numbers, only_small, roots, usable
from reference.sessions.mirror import Pair, Tensor
from reference.sessions.session import Session
from reference.source import Source, Unsuited, chance, pick

Change = Callable[[Tensor, Tensor], Tensor]

# fmt: off
WRITES: tuple[tuple[str, bool, Change], ...] = (
    # a line                          in place  the same of numbers and gradient
    ("{0}.data -= 0.125 * {0}.grad",  True,     lambda x, g: x - 0.125 * g),
    ("{0}.data += -0.5 * {0}.grad",   True,     lambda x, g: x + -0.5 * g),
    ("{0}.data += 0.25",              True,     lambda x, g: x + 0.25),                 # noqa: ARG005
    ("{0}.data *= 0.5",               True,     lambda x, g: x * 0.5),                  # noqa: ARG005
    ("{0}.data = {0}.data - 0.125",   False,    lambda x, g: x - 0.125),                # noqa: ARG005
)
SUBSCRIPT_WRITES: tuple[tuple[str, bool, Change], ...] = (
    ("{0}.data[...] = 0.5",           True,     lambda x, g: torch.full_like(x, 0.5)),  # noqa: ARG005
    ("{0}.data[...] += 0.25",         True,     lambda x, g: x + 0.25),                 # noqa: ARG005
)
# fmt: on


def data_written(session: Session, source: Source) -> None:
    """A Value's numbers change."""
    _write(session, source, pick(source, usable(session)))


def wrong_moment(session: Session, source: Source) -> None:
    """Numbers change that a graph was made of, and then it is passed back: it must be right, or refused."""
    root = pick(source, roots(session)[:4])  # of the latest
    inside = at_least_one(p for p in root.made_of() if p.name in session.pairs and not p.stale)
    likely = [p for p in inside if p.is_leaf]  # parameters are what users change
    _write(session, source, pick(source, likely if likely and chance(source, 70) else inside))
    session.check()
    pass_ones_back(session, root)


def _write(session: Session, source: Source, pair: Pair) -> None:
    """Change a Value's numbers, by an augmented assignment or by subscript.

    By subscript only under `check_writes()`, for else nobody notices; or where no graph needs the numbers.
    """
    if not session.space[pair.name].data.flags.writeable:
        raise Unsuited
    unneeded = pair.tensor.grad_fn is None and not session.is_used(pair)
    often = 4 if session.careful else int(unneeded)
    form, in_place, change = pick(source, WRITES + SUBSCRIPT_WRITES * often)
    gradient = pair.gradient if pair.gradient is not None else torch.zeros_like(pair.tensor)
    new = change(pair.tensor.detach(), gradient)
    only_small(new)
    _overwrite(session, pair, form.format(pair.name), new, in_place=in_place)


def data_assigned(session: Session, source: Source) -> None:
    """Numbers are assigned as a list, or as an array, which is copied and may change afterwards."""
    pair = pick(source, usable(session))
    array = numbers(source, tuple(pair.tensor.shape), pick(source, DTYPES))
    handed = chance(source, 70)
    given = session.hand(array) if handed else repr(array.tolist())
    _overwrite(session, pair, f"{pair.name}.data = {given}", torch.tensor(array), in_place=False)
    if handed and chance(source, 50):
        session.check()
        write_into(session, given, 9)


def _overwrite(session: Session, pair: Pair, line: str, new: Tensor, *, in_place: bool) -> None:
    session.overwrite(pair, in_place=in_place)
    session.do(line)
    with torch.no_grad():
        pair.tensor.copy_(new)


def array_written(session: Session, source: Source) -> None:
    """A user writes into an array handed in before, an index perhaps; and a graph is passed back.

    Where the array is an operand, only under `check_writes()`.
    """
    own = [name for name, handed in session.arrays.items() if name[0] == "n"
           and (handed.tensor is None or session.careful)]  # fmt: skip
    write_into(session, pick(source, at_least_one(own)), pick(source, [9, -1]))
    wanting = [p for p in session.pairs.values() if p.tensor.requires_grad]
    if wanting:
        session.check()
        pass_ones_back(session, pick(source, wanting[::-1]))


def pass_ones_back(session: Session, root: Pair) -> None:
    """Pass back without a cotangent."""
    session.pass_back([(root, torch.ones_like(root.tensor))], f"{root.name}.backward()")


def write_into(session: Session, name: str, number: int) -> None:
    """Write a number all over an array of the user's."""
    session.do(f"{name}[...] = {session.space[name].dtype.type(number).item()!r}")
    tensor = session.arrays[name].tensor
    if tensor is not None:
        session.graph.overwrite(tensor)
        tensor.copy_(torch.tensor(session.space[name]))
    session.as_it_is(name)
