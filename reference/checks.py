"""The ordinary checks beside programs: sessions, training runs that are drawn, and the library's parts.

Case `number` of a seed is the same whoever runs it and in whatever order. This module knows which checks there are, and
how a case of each is run and told; what a case does, its own package knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reference.engines import Engine, Reference
from reference.engines.stateful import offered
from reference.networks import run_network_check
from reference.sessions import run_session, shortened, unsupported
from reference.source import Seeded
from reference.training import draw_task, train
from reference.verdict import Finding


@dataclass(frozen=True)
class Looked:
    """What came of a case.

    Args:
        findings: what is wrong; nothing, if it agrees.
        numbers: how many were compared.
        worst: the largest distance that agreed at once, in ULP.
        text: what was done, as far as it shows what is wrong.
    """

    findings: tuple[Finding, ...]
    numbers: int
    worst: float = 0.0
    text: str = ""


def _session(seed: int, number: int, engine: Engine, reference: Reference, *, short: bool) -> Looked:
    record = run_session(Seeded(seed, "sessions", number), engine, reference)
    if record.findings and short:
        record = shortened(record, engine, reference)
    return Looked(record.findings, record.numbers, record.worst, record.text)


def _training(seed: int, number: int, engine: Engine, reference: Reference, *, short: bool) -> Looked:
    del short
    task = draw_task(Seeded(seed, "training", number))
    record = train(task, engine, reference)
    where = [f"{task.name}, step {step} ({optimizer})" for step, optimizer, _ in record.failures]
    return Looked(tuple(f for _, _, f in record.failures), record.numbers, record.worst, "\n".join(where))


def _library(seed: int, number: int, engine: Engine, reference: Reference, *, short: bool) -> Looked:
    del short
    check = run_network_check(Seeded(seed, "library", number), engine, reference)
    return Looked(tuple(check.findings), check.numbers, 0.0, str(check))


_CHECKS: Mapping[str, Callable[..., Looked]] = {"sessions": _session, "training": _training, "library": _library}
CHECKS = tuple(_CHECKS)


# What an engine and the reference must offer for each.
_OFFERED = {"sessions": ("speaker", "stateful"), "training": ("trainer", "trainer"), "library": ("library", "library")}


def left_out(check: str, engine: Engine, reference: Reference) -> str:
    """Why a check cannot be run, in words; empty if it can."""
    for side, what in zip((engine, reference), _OFFERED[check], strict=True):
        if offered(side, what) is None:
            return f"{side.name} offers none"
    return ""


def without(check: str, engine: Engine, reference: Reference) -> Mapping[str, str]:
    """The calls of sessions that an engine is not given, and why; of the other checks nothing is left out."""
    return unsupported(engine, reference) if check == "sessions" else {}


def look(check: str, seed: int, number: int, engine: Engine, reference: Reference, *, short: bool = False) -> Looked:
    """Run a case.

    Args:
        check: a name of `CHECKS`.
        seed: what the case is drawn from.
        number: which case of the seed.
        engine: what is judged.
        reference: what is believed.
        short: whether a session that goes wrong is to be made shorter, which takes a while.
    """
    return _CHECKS[check](seed, number, engine, reference, short=short)
