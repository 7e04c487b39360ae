"""The table of the calls that sessions consist of.

A call draws its choices from a source and is made on both sides. If the session lacks something that the call needs,
the call is unsuited and does nothing. A call is never drawn for an engine that lacks the statements it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reference.checks.sessions import gradients, optimizing, values, writing
from reference.checks.sessions.drawing import latest_first, roots
from reference.checks.sessions.session import Session
from reference.ops.source import Source, pick


@dataclass(frozen=True)
class Call:
    """A call.

    Args:
        name: its name in scripts and tests.
        weight: how often it is drawn, relative to the others.
        make: makes the call.
        needs: the statements that an engine must have for it: fields of `Lines`.
    """

    name: str
    weight: int
    make: Callable[[Session, Source], None]
    needs: tuple[str, ...] = ()


def refused(session: Session, source: Source) -> None:
    """Run a line that the engine must refuse. It leaves everything unchanged."""
    line = pick(source, session.lines.refused)
    several = latest_first(p for p in roots(session) if p.numbers.size > 1)
    session.refuse(line.form.format(pick(source, several).name), line.error, line.why)


# fmt: off
CALLS: dict[str, Call] = {call.name: call for call in (
    #    call               weight                                   needs
    Call("leaf",              6, values.leaf),
    Call("op",               24, values.op),
    Call("backward",         16, gradients.backward),
    Call("backward_several",  3, gradients.backward_from_several, ("several",)),
    Call("twice",             3, gradients.twice,                 ("zero",)),
    Call("zeroed",            3, gradients.zeroed,                ("zero",)),
    Call("grad_assigned",     3, gradients.grad_assigned,         ("assigned_gradient",)),
    Call("grad_written",      3, gradients.grad_written,          ("written_gradients",)),
    Call("grad_kept",         3, gradients.grad_kept,             ("gradient",)),
    Call("data_written",      5, writing.data_written,            ("writes",)),
    Call("data_assigned",     3, writing.data_assigned,           ("assigned",)),
    Call("wrong_moment",     13, writing.wrong_moment,            ("writes",)),
    Call("array_written",     5, writing.array_written,           ("indexed",)),
    Call("constant",          4, values.constant,                 ("constant",)),
    Call("in_a_mode",         6, values.in_a_mode,                ("modes",)),
    Call("index_array",       3, values.index_array,              ("indexed",)),
    Call("viewed",            3, values.viewed,                   ("views",)),
    Call("added_up",          2, values.added_up,                 ("summed",)),
    Call("rows",              2, values.rows,                     ("rows",)),
    Call("augmented",         3, values.augmented,                ("augmented",)),
    Call("detached",          2, values.detached,                 ("detached",)),
    Call("copied",            2, values.copied,                   ("copies", "detached")),
    Call("dropped",           4, values.dropped,                  ("dropped",)),
    Call("optimizer",         5, optimizing.optimizer,            ("optimizers",)),
    Call("trained",           9, optimizing.trained,              ("optimizers", "optimizer_zero")),
    Call("step",              8, optimizing.step,                 ("optimizers",)),
    Call("optimizer_zeroed",  2, optimizing.optimizer_zeroed,     ("optimizers", "optimizer_zero")),
    Call("hyperparameter",    2, optimizing.hyperparameter,       ("optimizers", "hyperparameter")),
    Call("saved",             4, optimizing.saved,                ("optimizers", "saved")),
    Call("loaded",           10, optimizing.loaded,               ("optimizers", "loaded")),
    Call("refused",           3, refused,                         ("refused",)),
    Call("chain",             1, values.chain,                    ("chain",)),
    Call("diamond",           1, values.diamond,                  ("diamonds",)),
)}
# fmt: on
