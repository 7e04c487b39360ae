"""The ordinary checks beside programs: sessions, training runs that are drawn, and the library's parts.

Case `number` of a seed is the same whoever runs it and in whatever order. This module knows which checks there are, and
how a case of each is run and told; what a case does, its own package knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from reference.networks import run_network_check
from reference.sessions import run_session, shortened
from reference.source import Seeded
from reference.training import draw_task, train
from reference.verdict import Finding
from reference.verdict.explanation import Explanation, explain_finding


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

    @cached_property
    def explanation(self) -> Explanation:
        """Why it goes wrong, if it does."""
        return explain_finding(self.findings[0])


def _session(seed: int, number: int, *, short: bool) -> Looked:
    record = run_session(Seeded(seed, "sessions", number))
    if record.findings and short:
        record = shortened(record)
    return Looked(record.findings, record.numbers, record.worst, record.text)


def _training(seed: int, number: int, *, short: bool) -> Looked:
    del short
    task = draw_task(Seeded(seed, "training", number))
    record = train(task)
    where = [f"{task.name}, step {step} ({optimizer})" for step, optimizer, _ in record.failures]
    return Looked(tuple(f for _, _, f in record.failures), record.numbers, record.worst, "\n".join(where))


def _library(seed: int, number: int, *, short: bool) -> Looked:
    del short
    check = run_network_check(Seeded(seed, "library", number))
    return Looked(tuple(check.findings), check.numbers, 0.0, str(check))


_CHECKS: Mapping[str, Callable[..., Looked]] = {"sessions": _session, "training": _training, "library": _library}
CHECKS = tuple(_CHECKS)


def look(check: str, seed: int, number: int, *, short: bool = False) -> Looked:
    """Run a case.

    Args:
        check: a name of `CHECKS`.
        seed: what the case is drawn from.
        number: which case of the seed.
        short: whether a session that goes wrong is to be made shorter, which takes a while.
    """
    return _CHECKS[check](seed, number, short=short)
