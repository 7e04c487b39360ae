"""Calls of optimizers: made, stepped, zeroed, saved and loaded."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import torch

from reference.sessions.drawing import at_least_one, leaves, some
from reference.sessions.expressions import made
from reference.sessions.mirror import OptimizerPair
from reference.sessions.passing import draw_cotangent
from reference.sessions.session import Session
from reference.sessions.state import Computed
from reference.source import Source, Unsuited, chance, pick

_BETAS, _EPS, _ALPHA = ((0.5, 0.75), (0.9, 0.99)), (1e-3, 1e-6), (0.5, 0.9)

# fmt: off
OPTIMIZERS: tuple[tuple[str, dict[str, Any], dict[str, tuple[Any, ...]]], ...] = (
    # kind      what it is made with                  what else it is made with at times
    ("SGD",     {},                                   {}),
    ("SGD",     {"momentum": 0.9},                    {}),
    ("SGD",     {"momentum": 0.9, "nesterov": True},  {}),
    ("SGD",     {"momentum": 0.5, "dampening": 0.3},  {}),
    ("Adam",    {},                                   {"betas": _BETAS, "eps": _EPS}),
    ("Adam",    {"amsgrad": True},                    {"betas": _BETAS, "eps": _EPS}),
    ("AdamW",   {},                                   {"betas": _BETAS, "amsgrad": (True,)}),
    ("RMSprop", {},                                   {"alpha": _ALPHA, "eps": _EPS}),
    ("RMSprop", {"momentum": 0.5},                    {"alpha": _ALPHA}),
    ("RMSprop", {"centered": True},                   {"alpha": _ALPHA, "momentum": (0.5,)}),
)
# fmt: on
COMMON: dict[str, tuple[Any, ...]] = {"weight_decay": (0.1, 0.5, 0.0), "maximize": (True,)}


def optimizer(session: Session, source: Source) -> None:
    """An optimizer of some leaves: in a list or from a generator, one of them named twice, a rate of NumPy's."""
    params = some(source, leaves(session), pick(source, [2, 1, 3]))
    kind, options = _hyperparameters(source)
    written = {name: repr(x) for name, x in options.items()}
    if chance(source, 25):
        written["lr"] = f"np.float64({options['lr']!r})"
    listed = ", ".join(p.name for p in [*params, *params[:1] * chance(source, 25)])
    given = f"(p for p in [{listed}])" if chance(source, 25) else f"[{listed}]"
    name = session.numbered("opt")
    session.do(f"{name} = {kind}({given}, {', '.join(f'{k}={x}' for k, x in written.items())})")
    session.optimizers[name] = OptimizerPair(name, kind, tuple(params), options)


def _hyperparameters(source: Source) -> tuple[str, dict[str, Any]]:
    """A kind of optimizer, and its options."""
    kind, always, sometimes = pick(source, OPTIMIZERS)
    options = {"lr": pick(source, [0.125, 0.5, 0.01]), **always}
    for name, choices in {**sometimes, **COMMON}.items():
        if chance(source, 35):
            options[name] = pick(source, choices)
    return kind, options


def _any(session: Session, source: Source) -> OptimizerPair:
    return pick(source, at_least_one(session.optimizers.values()))


def step(session: Session, source: Source) -> None:
    """Each parameter that has a gradient moves; the others do not."""
    _step(session, _any(session, source))


def _step(session: Session, pair: OptimizerPair) -> None:
    before = pair.held()
    for p in pair.params:
        if p.tensor.grad is not None:
            session.overwrite(p)
    session.do(f"{pair.name}.step()")
    pair.theirs.step()
    names = frozenset(name for name, _ in pair.parts())
    single = any(p.single for p in pair.params)
    session.computed = Computed(lambda disturbance: pair.stepped_from(before, disturbance), names, single)


def trained(session: Session, source: Source) -> None:
    """Some steps of training, each with a loss of its own."""
    pair = _any(session, source)
    _train(session, source, pair)
    for _ in range(source.integer(0, 2)):
        session.check()
        with suppress(Unsuited):  # the steps before have been made
            _train(session, source, pair)


def _train(session: Session, source: Source, pair: OptimizerPair) -> None:
    """A loss of a parameter at least, gradients zeroed by the optimizer, a pass, a step."""
    root = made(session, source, pick(source, at_least_one(p for p in pair.params if not p.stale)))
    session.check()
    _zero(session, pair)
    given, cotangent = draw_cotangent(session, source, root)
    session.pass_back([(root, cotangent)], f"{root.name}.backward({given})")
    session.check()
    _step(session, pair)


def optimizer_zeroed(session: Session, source: Source) -> None:
    """The gradients of all parameters are made missing."""
    _zero(session, _any(session, source))


def _zero(session: Session, pair: OptimizerPair) -> None:
    session.do(f"{pair.name}.zero_grad()")
    pair.theirs.zero_grad()


def hyperparameter(session: Session, source: Source) -> None:
    """A hyperparameter changes between steps."""
    pair = _any(session, source)
    name = pick(source, ["lr", "weight_decay"])
    number = pick(source, [0.25, 0.0, 0.05])
    session.do(f"{pair.name}.{name} = {number}")
    pair.theirs.param_groups[0][name] = number


def saved(session: Session, source: Source) -> None:
    """What an optimizer needs to go on later: a copy, which stays as it is."""
    pair = _any(session, source)
    name = session.numbered("saved")
    session.keep(name, f"{pair.name}.state_dict()")
    session.saved[name] = (pair, copy.deepcopy(pair.theirs.state_dict()))


def loaded(session: Session, source: Source) -> None:
    """An optimizer goes on from what was saved of it; or a new one of the same parameters does, in its place."""
    name = pick(source, at_least_one(session.saved))
    pair, theirs = session.saved[name]
    if chance(source, 40):
        listed = ", ".join(p.name for p in pair.params)
        session.do(f"{pair.name} = {pair.kind}([{listed}], lr=1.0)")
        pair.theirs = getattr(torch.optim, pair.kind)([p.tensor for p in pair.params], lr=1.0, foreach=False)
    session.do(f"{pair.name}.load_state_dict({name})")
    pair.theirs.load_state_dict(copy.deepcopy(theirs))
