"""Cases that are drawn while they run: sessions, training runs and checks of the library.

Such a case is drawn from a source of choices. What is replayed and shrunk is the script of these choices, in named
blocks: the calls of a session, the steps of a training run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from reference.checks.case import Case, Trial
from reference.checks.networks import run_network_check
from reference.checks.sessions import SessionRecord, replayed, run_session, unsupported
from reference.checks.training import draw_task, train
from reference.engines import Engine, Reference
from reference.engines.references import References
from reference.engines.stateful import offered
from reference.ops.source import Recording, Replaying, Script, Seeded, Source
from reference.verdict import Finding, Result, Verdict

PLAINEST = "backward"  # the call of a session that most others with a backward pass are shrunk to
FEW = 10  # blocks, of which any two may be left out together
HEAD = "case"  # the block of the choices that a case begins with; it is never left out


class Performed(NamedTuple):
    """What came of a case: what is wrong, how many numbers were compared, the largest distance that agreed at once.

    And what was done, as text and as the script to do it again.
    """

    findings: tuple[Finding, ...]
    numbers: int
    worst: float
    transcript: str
    script: Script

    def trial(self, kind: str, reference: Reference) -> Trial:
        """The verdict on it, from what a reference says."""
        result = Result.ENGINE_WRONG if self.findings else Result.AGREES
        verdict = Verdict(result, self.findings, self.numbers, self.worst, reference=reference.name)
        return Trial(ScriptedCase(kind, self.script), verdict, self.transcript)


# Sessions write their scripts themselves: which calls suit a session shows while it runs.


def _session(source: Source, engine: Engine, reference: Reference) -> Performed:
    return _performed(run_session(source, engine, reference))


def _replayed_session(script: Script, engine: Engine, reference: Reference) -> Performed:
    (_, first), *calls = script
    return _performed(replayed(tuple(calls), engine, reference, careful=any(first)))


def _performed(record: SessionRecord) -> Performed:
    head = (HEAD, (int(record.careful),))
    return Performed(record.findings, record.numbers, record.worst, record.text, (head, *record.script))


def _training(source: Source, engine: Engine, reference: Reference) -> Performed:
    recording = Recording(source, HEAD)
    task = draw_task(recording)
    record = train(task, engine, reference)
    where = [f"{task.name}, step {step} ({optimizer})" for step, optimizer, _ in record.failures]
    findings = tuple(finding for _, _, finding in record.failures)
    return Performed(findings, record.numbers, record.worst, "\n".join(where), recording.script)


def _library(source: Source, engine: Engine, reference: Reference) -> Performed:
    recording = Recording(source, HEAD)
    check = run_network_check(recording, engine, reference)
    return Performed(tuple(check.findings), check.numbers, 0.0, str(check), recording.script)


class _Kind(NamedTuple):
    """How cases of a kind are performed, and what for.

    Args:
        drawn: draws a case from a source, and runs it.
        replayed: runs a case from its script.
        engine: what an engine must offer.
        reference: what the reference must offer.
    """

    drawn: Callable[[Source, Engine, Reference], Performed]
    replayed: Callable[[Script, Engine, Reference], Performed]
    engine: str
    reference: str


def _replayed_by(drawn: Callable[[Source, Engine, Reference], Performed]) -> Callable[..., Performed]:
    return lambda script, engine, reference: drawn(Replaying(script), engine, reference)


# fmt: off
SCRIPTED: Mapping[str, _Kind] = {
    # kind             drawn      replayed                 the engine offers  the reference offers
    "sessions": _Kind(_session,  _replayed_session,        "speaker",         "stateful"),
    "training": _Kind(_training, _replayed_by(_training),  "trainer",         "trainer"),
    "library":  _Kind(_library,  _replayed_by(_library),   "library",         "library"),
}
# fmt: on


def left_out(kind: str, engine: Engine, references: References) -> str:
    """Why an engine is not given cases of a kind, in words; empty if it is."""
    needed = SCRIPTED[kind]
    if offered(engine, needed.engine) is None:
        return f"{engine.name} offers none"
    if all(offered(reference, needed.reference) is None for reference in references.members):
        return f"{references.name} offers none"
    return ""


def without(kind: str, engine: Engine, references: References) -> Mapping[str, str]:
    """The calls of sessions that an engine is not given, and why; of the other kinds nothing is left out."""
    return unsupported(engine, able(kind, references)) if kind == "sessions" else {}


def able(kind: str, references: References) -> Reference:
    """The first of the references that cases of a kind can be held against; the first of all, if there is none."""
    offering = (r for r in references.members if offered(r, SCRIPTED[kind].reference) is not None)
    return next(offering, references.members[0])


@dataclass(frozen=True)
class ScriptedCase(Case):
    """A case with the choices that it is made of.

    Args:
        kind: one of `SCRIPTED`.
        script: its blocks, each with a name and the choices made in it.
    """

    kind: str
    script: Script

    def run(self, engine: Engine, references: References) -> Trial:
        """Replay it."""
        reference = able(self.kind, references)
        return SCRIPTED[self.kind].replayed(self.script, engine, reference).trial(self.kind, reference)

    def smaller(self) -> Iterator[ScriptedCase]:
        """Give it without some of its blocks, with a plainer one, or with a choice that is simpler."""
        return (replace(self, script=script) for script in _smaller(self.script))

    @property
    def size(self) -> tuple[Any, ...]:
        """Blocks, those that are not the plainest, choices that are not the simplest, and their sum."""
        choices = [choice for _, block in self.script for choice in block]
        others = sum(name not in (PLAINEST, HEAD) for name, _ in self.script)
        return len(self.script), others, sum(map(bool, choices)), sum(choices), len(choices)

    def __str__(self) -> str:
        """Write its kind and its blocks."""
        blocks = (f"{name} {','.join(map(str, choices))}".rstrip() for name, choices in self.script)
        return f"{self.kind} {'; '.join(blocks)}"


def _smaller(script: Script) -> Iterator[Script]:
    head, *blocks = script
    for length in (len(blocks) // 2, len(blocks) // 4, 1):
        for i in reversed(range(0, len(blocks), length) if length else ()):
            yield (head, *blocks[:i], *blocks[i + length :])
    few = range(len(blocks) if len(blocks) <= FEW else 0)
    for i, j in itertools.combinations(few, 2):  # as a leaf and its only use
        yield (head, *blocks[:i], *blocks[i + 1 : j], *blocks[j + 1 :])
    for i, (name, choices) in enumerate(script):
        if name not in (PLAINEST, HEAD):
            yield (*script[:i], (PLAINEST, ()), *script[i + 1 :])
        if any(choices):
            yield (*script[:i], (name, (0,) * len(choices)), *script[i + 1 :])
    for i, (name, choices) in enumerate(script):
        for j, choice in enumerate(choices):
            for simpler in dict.fromkeys((0, choice // 2, choice - 1)) if choice else ():
                yield (*script[:i], (name, (*choices[:j], simpler, *choices[j + 1 :])), *script[i + 1 :])


@dataclass(frozen=True)
class DrawnCase(Case):
    """A case by its number, not run yet: what choices it takes shows while it runs, and then its script is shrunk.

    Args:
        kind: one of `SCRIPTED`.
        seed: what it is drawn from.
        number: which case of the seed.
    """

    kind: str
    seed: int
    number: int

    def run(self, engine: Engine, references: References) -> Trial:
        """Draw it, and run it while it is drawn."""
        source, reference = Seeded(self.seed, self.kind, self.number), able(self.kind, references)
        return SCRIPTED[self.kind].drawn(source, engine, reference).trial(self.kind, reference)

    def __str__(self) -> str:
        """Write its kind, its seed and its number."""
        return f"{self.kind} {self.seed} {self.number}"
