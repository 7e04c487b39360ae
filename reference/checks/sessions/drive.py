"""Runs sessions: draws, makes and judges calls one by one; or replays them from a script."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

from reference.checks.sessions.calls import CALLS
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Wrong
from reference.engines import Engine, Reference
from reference.engines.raised import Place, place_raised
from reference.engines.speaker import Speaker, method_of
from reference.engines.stateful import offered
from reference.ops.source import Recording, Replaying, Script, Source, Unsuited, chance, pick
from reference.verdict import Finding, Kind

_SIMPLEST = ("leaf", "op", "backward")  # every engine has these calls
REPEATS = "backward, a second time"  # the name that `unsupported` gives to a second pass over one graph
_PREREQUISITES = ("optimizer", "saved")  # later calls need them


@dataclass(frozen=True)
class SessionRecord:
    """The results of a session.

    Args:
        findings: what is wrong; the session ended there.
        calls: how many calls were made.
        numbers: how many numbers were compared.
        worst: the largest distance among those that agreed at once, in ULP.
        text: the engine's side as Python that can be run, followed by the findings as comments.
        careful: whether the whole session was in a mode in which the engine notices every write.
        script: the calls and their choices, from which the session can be replayed.
        raised: the line that raised the engine's error, with its file; empty if none did.
    """

    findings: tuple[Finding, ...]
    calls: int
    numbers: int
    worst: float
    text: str
    careful: bool
    script: Script
    raised: str = ""


class SessionRun:
    """A running session, call by call. It stops at the first call that goes wrong.

    It runs in its own context, so that no mode outlives it, not even one that a wrong engine never leaves.

    Args:
        engine: the engine, which offers a `speaker`.
        reference: the reference, which offers to be `stateful`.
        careful: whether the whole session is in a mode in which the engine notices every write.
        repeats: whether the engine allows a second backward pass over one graph.
    """

    def __init__(self, engine: Engine, reference: Reference, *, careful: bool, repeats: bool = True) -> None:
        speaker, stateful = offered(engine, "speaker"), offered(reference, "stateful")
        if speaker is None or stateful is None:
            raise ValueError(f"{(engine if speaker is None else reference).name} has no sessions")
        self._context = copy_context()
        self._session = self._context.run(Session, speaker(), stateful(), careful=careful)
        self._session.repeats = repeats
        self._reference = reference.name.partition(" ")[0]
        self._script: list[tuple[str, tuple[int, ...]]] = []
        self.findings: tuple[Finding, ...] = ()
        self._raised: Place | None = None

    @property
    def speaker(self) -> Speaker:
        """The engine's speaker in this session."""
        return self._session.speaker

    def make(self, name: str, source: Source) -> bool:
        """Make a call and check the laws. Return whether the call suited the session."""
        if self._session.lines.missing(CALLS[name].needs):
            return False
        recording = Recording(source, name)
        with _without_collector():
            try:
                self._context.run(CALLS[name].make, self._session, recording)
                self._context.run(self._session.check)
            except Unsuited:
                return False
            except Wrong as wrong:
                self.findings, self._raised = wrong.findings, wrong.place
            except Exception as error:  # noqa: BLE001 - a wrong engine may raise when its state is inspected
                says = f"cannot be inspected: {type(error).__name__}: {error}"
                self.findings = (Finding(Kind.RAISED, f"the state after {name}", says),)
                self._raised = place_raised(error)
        self._script += recording.script
        return True

    def end(self) -> SessionRecord:
        """Rerun the session, release everything, and return the record."""
        with _without_collector():
            if self.findings:
                self._session.leave()
            else:
                try:
                    self._context.run(self._session.close)
                except Wrong as wrong:
                    self.findings = wrong.findings
        session, found = self._session, "\n".join(describe(finding, self._reference) for finding in self.findings)
        return SessionRecord(
            findings=self.findings,
            calls=len(self._script),
            numbers=session.laws.numbers,
            worst=session.laws.worst,
            text=session.text + "".join(f"# {line}\n" for line in found.splitlines()),
            careful=session.careful,
            script=tuple(self._script),
            raised=str(self._raised or ""),
        )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable the cyclic collector: objects must be freed by reference counting alone."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def describe(finding: Finding, reference: str) -> str:
    """Describe a finding in words, with the reference's name."""
    if finding.says:
        return f"{finding.kind}: {finding.part} {finding.says}"
    place = list(finding.place) or ""
    return f"{finding.kind}: {finding.part}{place} is {finding.got}, but {reference} says {finding.wanted}"


_TRIED: deque[tuple[Engine, Mapping[str, str]]] = deque(maxlen=4)  # the latest engines, and the calls they lack


def unsupported(engine: Engine, reference: Reference) -> Mapping[str, str]:
    """Return the calls that are not drawn for an engine, with the reasons: a missing statement, or a trial that raises.

    Calls that an engine declares to have are not tried: if they raise, that is wrong. The same holds for the simplest
    calls.
    """
    for tried, lacking in _TRIED:
        if tried is engine:
            return lacking
    _TRIED.append((engine, _find_unsupported(engine, reference)))
    return _TRIED[-1][1]


def _find_unsupported(engine: Engine, reference: Reference) -> Mapping[str, str]:
    speaker = SessionRun(engine, reference, careful=False).speaker
    needs = {
        name: ", ".join(dict.fromkeys(map(method_of, speaker.lines.missing(call.needs))))
        for name, call in CALLS.items()
    }
    lacking = {name: f"has no {missing}" for name, missing in needs.items() if missing}
    before = list(_SIMPLEST)
    if speaker.declares:
        return lacking
    once_more = _error_in_a_trial(engine, reference, [*before, "backward"])
    lacking |= dict.fromkeys((REPEATS, "twice", "backward_several"), once_more) if once_more else {}
    for name in [name for name in CALLS if name not in (*before, *lacking)]:
        raised = _error_in_a_trial(engine, reference, [*before, name, "backward"], repeats=not once_more)
        lacking |= {name: raised} if raised else {}
        before += [name] * (name in _PREREQUISITES and not raised)
    return lacking


def _error_in_a_trial(engine: Engine, reference: Reference, calls: Sequence[str], *, repeats: bool = True) -> str:
    """Make calls with their simplest choices; return what the failing one raised, or that it took too long, or ''."""
    run = SessionRun(engine, reference, careful=False, repeats=repeats)
    for call in calls:
        run.make(call, Replaying(((call, ()),)))
        if run.findings:
            break
    cannot = [finding.says for finding in run.findings if finding.kind in (Kind.RAISED, Kind.TOO_SLOW)]
    run.end()
    return cannot[0] if cannot else ""


def _weighted_names(engine: Engine, reference: Reference) -> Sequence[str]:
    """Return the calls that the engine supports, each as often as its weight says."""
    without = unsupported(engine, reference)
    return [name for name, call in CALLS.items() if name not in without for _ in range(call.weight)]


def _start(engine: Engine, reference: Reference, *, careful: bool) -> SessionRun:
    repeats = REPEATS not in unsupported(engine, reference)
    return SessionRun(engine, reference, careful=careful, repeats=repeats)


def run_session(source: Source, engine: Engine, reference: Reference, calls: int = 20) -> SessionRecord:
    """Draw a session and run it up to the first call that goes wrong.

    Args:
        source: the source of the choices; the session depends on nothing else.
        engine: the engine to judge.
        reference: the reference.
        calls: how many calls are made. Unsuited calls do not count.
    """
    run = _start(engine, reference, careful=chance(source, 35))
    names = _weighted_names(engine, reference)
    made, tries = 0, 0
    for name in ("leaf", "leaf", *["optimizer"] * chance(source, 30)):
        made += run.make(name, source)
    while made < calls and tries < 10 * calls and not run.findings:
        tries += 1
        made += run.make(pick(source, names), source)
    return run.end()


def replay(script: Script, engine: Engine, reference: Reference, *, careful: bool) -> SessionRecord:
    """Run the calls of a script with its choices."""
    run = _start(engine, reference, careful=careful)
    for name, choices in script:
        if not run.findings:
            run.make(name, Replaying(((name, choices),)))
    return run.end()
