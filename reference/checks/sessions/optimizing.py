"""Calls that make, step, zero, save and load optimizers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from reference.checks.sessions.drawing import latest_first, leaves, pick_some
from reference.checks.sessions.expressions import apply_random_op
from reference.checks.sessions.gradients import draw_cotangent
from reference.checks.sessions.pairs import OptimizerPair
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Computed
from reference.ops.source import Source, Unsuited, chance, pick


def optimizer(session: Session, source: Source) -> None:
    """Make an optimizer of some leaves: from a list or a generator, sometimes with a duplicate or a NumPy rate."""
    params = pick_some(source, leaves(session), pick(source, [2, 1, 3]))
    kind, options = _hyperparameters(session, source)
    written = {name: repr(x) for name, x in options.items()}
    if chance(source, session.lines.odd_optimizers):
        written["lr"] = f"np.float64({options['lr']!r})"
    listed = ", ".join(p.name for p in [*params, *params[:1] * chance(source, session.lines.odd_optimizers)])
    given = f"(p for p in [{listed}])" if chance(source, session.lines.odd_optimizers) else f"[{listed}]"
    name = session.numbered("opt")
    session.do(f"{name} = {kind}({given}, {', '.join(f'{k}={x}' for k, x in written.items())})")
    theirs = session.reference.optimizer(kind, [p.theirs for p in params], options)
    session.optimizers[name] = OptimizerPair(name, kind, tuple(params), theirs)


def _hyperparameters(session: Session, source: Source) -> tuple[str, dict[str, Any]]:
    """Draw a kind of optimizer and its options."""
    kind = pick(source, session.lines.optimizers)
    options = {"lr": pick(source, [0.125, 0.5, 0.01]), **kind.always}
    for name, choices in kind.sometimes.items():
        if chance(source, 35):
            options[name] = pick(source, choices)
    return kind.name, options


def _any(session: Session, source: Source) -> OptimizerPair:
    return pick(source, latest_first(session.optimizers.values()))


def step(session: Session, source: Source) -> None:
    """Make a step: each parameter that has a gradient moves, the others do not."""
    _step(session, _any(session, source))


def _step(session: Session, pair: OptimizerPair) -> None:
    before = pair.theirs.snapshot()
    for p in pair.params:
        if p.gradient is not None:
            session.overwrite(p)
    session.do(session.lines.step.format(name=pair.name))
    pair.theirs.step()
    single = any(p.single for p in pair.params)
    session.computed = Computed(lambda noise: pair.stepped_from(before, noise), pair.part_names(), single)


def trained(session: Session, source: Source) -> None:
    """Make some training steps, each with a new loss."""
    pair = _any(session, source)
    _train(session, source, pair)
    for _ in range(source.integer(0, 2)):
        session.check()
        with suppress(Unsuited):  # the earlier steps have been made
            _train(session, source, pair)


def _train(session: Session, source: Source, pair: OptimizerPair) -> None:
    """Compute a loss of at least one parameter, zero the gradients, run backward, make a step."""
    root = apply_random_op(session, source, pick(source, latest_first(p for p in pair.params if not p.stale)))
    session.check()
    _zero(session, pair)
    given, cotangent = draw_cotangent(session, source, root)
    session.backward(root, given, cotangent)
    session.check()
    _step(session, pair)


def optimizer_zeroed(session: Session, source: Source) -> None:
    """Clear the gradients of all the optimizer's parameters."""
    _zero(session, _any(session, source))


def _zero(session: Session, pair: OptimizerPair) -> None:
    session.do(session.lines.optimizer_zero.format(name=pair.name))
    pair.theirs.zero()


def hyperparameter(session: Session, source: Source) -> None:
    """Change a hyperparameter between steps."""
    pair = _any(session, source)
    option = pick(source, session.lines.hyperparameters)
    number = pick(source, [0.25, 0.0, 0.05])
    session.do(session.lines.hyperparameter.format(name=pair.name, option=option, number=number))
    pair.theirs.set(option, number)


def saved(session: Session, source: Source) -> None:
    """Save an optimizer's state: a copy, which later steps must not change."""
    pair = _any(session, source)
    name = session.numbered("saved")
    session.keep(name, session.lines.saved.format(name=pair.name))
    session.saved[name] = (pair, pair.theirs.save())


def loaded(session: Session, source: Source) -> None:
    """Load a saved state into its optimizer, or into a new one of the same parameters that replaces it."""
    name = pick(source, latest_first(session.saved))
    pair, theirs = session.saved[name]
    if chance(source, 40):
        listed = ", ".join(p.name for p in pair.params)
        session.do(f"{pair.name} = {pair.kind}([{listed}], lr=1.0)")
        pair.theirs = session.reference.optimizer(pair.kind, [p.theirs for p in pair.params], {"lr": 1.0})
    session.do(session.lines.loaded.format(name=pair.name, saved=name))
    pair.theirs.load(theirs)
