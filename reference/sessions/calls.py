"""The calls that sessions are made of: one row a call.

A call draws what it needs from a source, and is made on both sides. Where a session does not have what it needs, it is
unsuited, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reference.sessions import making, optimizing, passing, writing
from reference.sessions.drawing import at_least_one, roots
from reference.sessions.session import Session
from reference.source import Source, pick


@dataclass(frozen=True)
class Call:
    """A call.

    Args:
        name: what scripts and tests call it.
        weight: how often it is made, beside the others.
        make: makes it.
    """

    name: str
    weight: int
    make: Callable[[Session, Source], None]


# fmt: off
REFUSED: tuple[tuple[str, type[Exception], str], ...] = (
    # a line                                  is refused with  because
    ("{0}.backward(2.0)",                     ValueError,      "the cotangent has another shape"),
    ("{0}.backward(np.ones((2, 5, 2)))",      ValueError,      "the cotangent has another shape"),
    ("{0}.detach().backward()",               RuntimeError,    "nothing requires a gradient"),
    ("ndgrad.backward([{0}.detach()])",       RuntimeError,    "nothing requires a gradient"),
    ("ndgrad.backward([{0}], [2.0, {0}])",    ValueError,      "there is a cotangent too many"),
    ("{0}.grad = np.ones((2, 5, 2))",         ValueError,      "the gradient has another shape"),
    ("{0}.data = np.ones((2, 5, 2))",         ValueError,      "the data have another shape"),
    ("np.add({0}, 1.0, out=np.ones((2, 2)))", TypeError,       "the graph would end in the array"),
    ("np.asarray({0})",                       TypeError,       "the graph would end in the array"),
    ("{0}[...] = 1.0",                        TypeError,       "a Value's numbers are assigned by its data"),
    ("SGD([{0} * 1.0], lr=0.1)",              ValueError,      "a parameter is the result of an op"),
)
# fmt: on


def refused(session: Session, source: Source) -> None:
    """What must be refused is, and leaves everything as it was."""
    form, kind, why = pick(source, REFUSED)
    several = at_least_one(p for p in roots(session) if p.tensor.numel() > 1)
    session.refuse(form.format(pick(source, several).name), kind, why)


# fmt: off
CALLS: dict[str, Call] = {call.name: call for call in (
    #    call               weight
    Call("leaf",              6, making.leaf),
    Call("op",               24, making.op),
    Call("backward",         16, passing.backward),
    Call("backward_several",  3, passing.backward_from_several),
    Call("twice",             3, passing.twice),
    Call("zeroed",            3, passing.zeroed),
    Call("grad_assigned",     3, passing.grad_assigned),
    Call("grad_written",      3, passing.grad_written),
    Call("grad_kept",         3, passing.grad_kept),
    Call("data_written",      5, writing.data_written),
    Call("data_assigned",     3, writing.data_assigned),
    Call("wrong_moment",     13, writing.wrong_moment),
    Call("array_written",     5, writing.array_written),
    Call("constant",          4, making.constant),
    Call("in_a_mode",         6, making.in_a_mode),
    Call("index_array",       3, making.index_array),
    Call("viewed",            3, making.viewed),
    Call("added_up",          2, making.added_up),
    Call("rows",              2, making.rows),
    Call("augmented",         3, making.augmented),
    Call("detached",          2, making.detached),
    Call("copied",            2, making.copied),
    Call("dropped",           4, making.dropped),
    Call("optimizer",         5, optimizing.optimizer),
    Call("trained",           9, optimizing.trained),
    Call("step",              8, optimizing.step),
    Call("optimizer_zeroed",  2, optimizing.optimizer_zeroed),
    Call("hyperparameter",    2, optimizing.hyperparameter),
    Call("saved",             4, optimizing.saved),
    Call("loaded",           10, optimizing.loaded),
    Call("refused",           3, refused),
    Call("chain",             1, making.chain),
    Call("diamond",           1, making.diamond),
)}
# fmt: on
