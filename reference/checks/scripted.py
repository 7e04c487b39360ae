"""Cases that are drawn while they run: sessions, training runs and checks of the library.

Such a case is drawn from a source of choices. The record of these choices is its script, which can be replayed and
shrunk. A script consists of named blocks: the calls of a session, the steps of a training run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from reference.checks.case import Case, Trial
from reference.checks.networks import run_network_check
from reference.checks.sessions import SessionRecord, replay, run_session, unsupported
from reference.checks.training import draw_task, train
from reference.engines import Engine, Reference
from reference.engines.references import References
from reference.engines.stateful import offered
from reference.ops.source import Recording, Replaying, Script, Seeded, Source
from reference.verdict import Finding, Result, Verdict

SIMPLEST = "backward"  # the session call that most calls with a backward pass shrink to
FEW_BLOCKS = 10  # up to this many blocks, shrinking also tries to leave out any two of them together
HEAD = "case"  # the block of a case's first choices; it is never left out


class Outcome(NamedTuple):
    """The outcome of a case.

    Args:
        findings: what is wrong.
        numbers: how many numbers were compared.
        worst: the largest distance that agreed at once, in ULP.
        transcript: what was done, as text.
        script: the choices, from which the case can be replayed.
        raised: the line that raised the engine's error, with its file; empty if none did.
    """

    findings: tuple[Finding, ...]
    numbers: int
    worst: float
    transcript: str
    script: Script
    raised: str = ""

    def trial(self, kind: str, reference: Reference) -> Trial:
        """Make the trial of this case, judged by this reference."""
        result = Result.ENGINE_WRONG if self.findings else Result.AGREES
        verdict = Verdict(result, self.findings, self.numbers, self.worst, reference=reference.name)
        return Trial(ScriptedCase(kind, self.script), verdict, self.transcript, self.raised)


# A session records its own script, because only while it runs is it known which calls suit it.


def _session(source: Source, engine: Engine, reference: Reference) -> Outcome:
    return _outcome(run_session(source, engine, reference))


def _replay_session(script: Script, engine: Engine, reference: Reference) -> Outcome:
    (_, first), *calls = script
    return _outcome(replay(tuple(calls), engine, reference, careful=any(first)))


def _outcome(record: SessionRecord) -> Outcome:
    head = (HEAD, (int(record.careful),))
    return Outcome(record.findings, record.numbers, record.worst, record.text, (head, *record.script), record.raised)


def _training(source: Source, engine: Engine, reference: Reference) -> Outcome:
    recording = Recording(source, HEAD)
    task = draw_task(recording)
    record = train(task, engine, reference)
    findings = tuple(finding for _, _, finding in record.failures)
    return Outcome(findings, record.numbers, record.worst, record.transcript, recording.script, record.raised)


def _library(source: Source, engine: Engine, reference: Reference) -> Outcome:
    recording = Recording(source, HEAD)
    check = run_network_check(recording, engine, reference)
    return Outcome(tuple(check.findings), check.numbers, 0.0, str(check), recording.script, check.raised)


class _Kind(NamedTuple):
    """How cases of one kind are run, and what they require.

    Args:
        draw: draws a case from a source and runs it.
        replay: runs a case from its script.
        engine: what an engine must offer.
        reference: what the reference must offer.
    """

    draw: Callable[[Source, Engine, Reference], Outcome]
    replay: Callable[[Script, Engine, Reference], Outcome]
    engine: str
    reference: str


def _replay_by(draw: Callable[[Source, Engine, Reference], Outcome]) -> Callable[..., Outcome]:
    return lambda script, engine, reference: draw(Replaying(script), engine, reference)


# fmt: off
SCRIPTED: Mapping[str, _Kind] = {
    # kind             draw       replay                 the engine offers  the reference offers
    "sessions": _Kind(_session,  _replay_session,       "speaker",         "stateful"),
    "training": _Kind(_training, _replay_by(_training), "trainer",         "trainer"),
    "library":  _Kind(_library,  _replay_by(_library),  "library",         "library"),
}
# fmt: on


def why_skipped(kind: str, engine: Engine, references: References) -> str:
    """Return why cases of a kind are skipped for an engine; empty if they are not."""
    needed = SCRIPTED[kind]
    if offered(engine, needed.engine) is None:
        return f"{engine.name} offers none"
    if all(offered(reference, needed.reference) is None for reference in references.members):
        return f"{references.name} offers none"
    return ""


def skipped_calls(kind: str, engine: Engine, references: References) -> Mapping[str, str]:
    """Return the session calls that are skipped for an engine, with the reasons. Other kinds skip nothing."""
    return unsupported(engine, reference_for(kind, references)) if kind == "sessions" else {}


def reference_for(kind: str, references: References) -> Reference:
    """Return the first reference that can judge cases of a kind, or the first of all if there is none."""
    offering = (r for r in references.members if offered(r, SCRIPTED[kind].reference) is not None)
    return next(offering, references.members[0])


@dataclass(frozen=True)
class ScriptedCase(Case):
    """A case given by the choices it was drawn from.

    Args:
        kind: one of `SCRIPTED`.
        script: its blocks, each with a name and its choices.
    """

    kind: str
    script: Script

    def run(self, engine: Engine, references: References) -> Trial:
        """Replay the script."""
        reference = reference_for(self.kind, references)
        return SCRIPTED[self.kind].replay(self.script, engine, reference).trial(self.kind, reference)

    def smaller(self) -> Iterator[ScriptedCase]:
        """Yield the case without some of its blocks, with a simpler block, or with a simpler choice."""
        return (replace(self, script=script) for script in _smaller(self.script))

    @property
    def size(self) -> tuple[Any, ...]:
        """The number of blocks, of blocks that are not the simplest and of nonzero choices; then the choices' sum."""
        choices = [choice for _, block in self.script for choice in block]
        others = sum(name not in (SIMPLEST, HEAD) for name, _ in self.script)
        return len(self.script), others, sum(map(bool, choices)), sum(choices), len(choices)

    def __str__(self) -> str:
        """Return the kind and the blocks."""
        blocks = (f"{name} {','.join(map(str, choices))}".rstrip() for name, choices in self.script)
        return f"{self.kind} {'; '.join(blocks)}"


def _smaller(script: Script) -> Iterator[Script]:
    head, *blocks = script
    for length in (len(blocks) // 2, len(blocks) // 4, 1):
        for i in reversed(range(0, len(blocks), length) if length else ()):
            yield (head, *blocks[:i], *blocks[i + length :])
    few = range(len(blocks) if len(blocks) <= FEW_BLOCKS else 0)
    for i, j in itertools.combinations(few, 2):  # such as a leaf and its only use
        yield (head, *blocks[:i], *blocks[i + 1 : j], *blocks[j + 1 :])
    for i, (name, choices) in enumerate(script):
        if name not in (SIMPLEST, HEAD):
            yield (*script[:i], (SIMPLEST, ()), *script[i + 1 :])
        if any(choices):
            yield (*script[:i], (name, (0,) * len(choices)), *script[i + 1 :])
    for i, (name, choices) in enumerate(script):
        for j, choice in enumerate(choices):
            for simpler in dict.fromkeys((0, choice // 2, choice - 1)) if choice else ():
                yield (*script[:i], (name, (*choices[:j], simpler, *choices[j + 1 :])), *script[i + 1 :])


@dataclass(frozen=True)
class SeededCase(Case):
    """A case given by its number and not yet run. Running it yields a `ScriptedCase`, which can be shrunk.

    Args:
        kind: one of `SCRIPTED`.
        seed: the seed it is drawn from.
        number: the number of the case for this seed.
    """

    kind: str
    seed: int
    number: int

    def run(self, engine: Engine, references: References) -> Trial:
        """Draw the case and run it while it is drawn."""
        source, reference = Seeded(self.seed, self.kind, self.number), reference_for(self.kind, references)
        return SCRIPTED[self.kind].draw(source, engine, reference).trial(self.kind, reference)

    def __str__(self) -> str:
        """Return the kind, the seed and the number."""
        return f"{self.kind} {self.seed} {self.number}"
