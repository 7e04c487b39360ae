"""Sessions from a source: drawn, made and judged, call by call; and replayed from a script."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

from reference.sessions.calls import CALLS
from reference.sessions.session import Session
from reference.sessions.state import Wrong
from reference.source import Noting, Replaying, Script, Source, Unsuited, chance, pick
from reference.verdict import Finding, Kind

# Each call's name as often as its weight says.
_NAMES = [name for name, call in CALLS.items() for _ in range(call.weight)]


@dataclass(frozen=True)
class SessionRecord:
    """What came of a session.

    Args:
        findings: what is wrong; the session ended there.
        calls: how many calls were made.
        numbers: how many numbers were compared.
        worst: the largest distance among those that agreed at once, in ULP.
        text: ndgrad's side of it, as Python that can be run; what was found stands at its end.
        careful: whether all of it was under `check_writes()`.
        script: the calls, and the choices that each has made: what it is replayed from.
    """

    findings: tuple[Finding, ...]
    calls: int
    numbers: int
    worst: float
    text: str
    careful: bool
    script: Script


class Running:
    """A session while it runs, call by call. It stops at the first that goes wrong.

    It has a context of its own: the modes that it enters, and those that a wrong engine never leaves, end with it.

    Args:
        careful: whether all of it is under `check_writes()`.
    """

    def __init__(self, *, careful: bool) -> None:
        self._context = copy_context()
        self._session = self._context.run(Session, careful=careful)
        self._script: list[tuple[str, tuple[int, ...]]] = []
        self.findings: tuple[Finding, ...] = ()

    def make(self, name: str, source: Source) -> bool:
        """Make a call, and look whether everything is as it must be. Say whether the session had what it takes."""
        noting = Noting(source, name)
        with _without_collector():
            try:
                self._context.run(CALLS[name].make, self._session, noting)
                self._context.run(self._session.check)
            except Unsuited:
                return False
            except Wrong as wrong:
                self.findings = wrong.findings
            except Exception as error:  # noqa: BLE001 - a wrong engine may refuse to be looked at
                says = f"cannot be looked at: {type(error).__name__}: {error}"
                self.findings = (Finding(Kind.RAISED, f"what {name} left", says),)
        self._script += noting.script
        return True

    def end(self) -> SessionRecord:
        """Run it again, let go of everything, and give the record."""
        with _without_collector():
            if self.findings:
                self._session.leave()
            else:
                try:
                    self._context.run(self._session.close)
                except Wrong as wrong:
                    self.findings = wrong.findings
        session, found = self._session, "\n".join(map(explained, self.findings))
        return SessionRecord(
            findings=self.findings,
            calls=len(self._script),
            numbers=session.laws.numbers,
            worst=session.laws.worst,
            text=session.text + "".join(f"# {line}\n" for line in found.splitlines()),
            careful=session.careful,
            script=tuple(self._script),
        )


@contextmanager
def _without_collector() -> Iterator[None]:
    """What is freed is freed by counting references alone."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def explained(finding: Finding) -> str:
    """A finding in words."""
    if finding.says:
        return f"{finding.kind}: {finding.part} {finding.says}"
    place = list(finding.place) or ""
    return f"{finding.kind}: {finding.part}{place} is {finding.got}, but PyTorch says {finding.wanted}"


def run_session(source: Source, calls: int = 20) -> SessionRecord:
    """Draw a session and run it, up to the first call that goes wrong.

    Args:
        source: where the choices come from; the session depends on nothing else.
        calls: how many are made. Those that were drawn where a session does not have what they take do not count.
    """
    running = Running(careful=chance(source, 35))
    made, tries = 0, 0
    for name in ("leaf", "leaf", *["optimizer"] * chance(source, 30)):
        made += running.make(name, source)
    while made < calls and tries < 10 * calls and not running.findings:
        tries += 1
        made += running.make(pick(source, _NAMES), source)
    return running.end()


def replayed(script: Script, *, careful: bool) -> SessionRecord:
    """Run the calls of a script, with the choices that it has."""
    running = Running(careful=careful)
    for name, choices in script:
        if not running.findings:
            running.make(name, Replaying(((name, choices),)))
    return running.end()
