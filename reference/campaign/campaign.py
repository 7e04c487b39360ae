"""A campaign: cases that failed before, programs of each op, expressions of all ops, and the other checks.

A failing case is shrunk and attributed to the op at fault. Case `i` of a campaign depends only on the seed, the focus
and `i`, so any number of processes can share a campaign with the same result.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reference.campaign.profiles import Profile
from reference.campaign.records import Found, Record, Tally, merged
from reference.campaign.runners import Here, Runner
from reference.campaign.shards import Shard, Sides, load, shards_of
from reference.campaign.store import FailureStore
from reference.checks import EXPRESSIONS, SCRIPTED, Case, ProgramCase, Trial, shrink, skipped_calls, why_skipped
from reference.engines import Engine, Reference
from reference.engines.references import References
from reference.processes.signals import deferred
from reference.verdict import Verdict
from reference.verdict.explanation import Explanation, at_fault, explain, explain_finding
from reference.verdict.localise import Origin, localise
from reference.verdict.steps import steps_alone

AGAIN = "failed before"  # stands in place of an op's name, for cases that failed in an earlier run


@dataclass(frozen=True)
class Failure:
    """A failing case, shrunk as far as possible.

    Args:
        op: the op at fault, if a single one can be found; or the check.
        case: the smallest case found that fails in the same way.
        verdict: the verdict on it.
        explanation: where the case first goes wrong, and why.
        transcript: what was done, if the case itself does not say it.
        found: the seed, the focus and the number of the case before shrinking; None if the case was not drawn.
    """

    op: str
    case: Case
    verdict: Verdict
    explanation: Explanation
    transcript: str = ""
    found: Found | None = None


class Campaign:
    """Cases that compare an engine with a reference.

    Args:
        engine: the engine to judge.
        reference: one reference, or several.
        ops: the ops that programs may contain; by default all that the engine and the reference know.
        seed: the seed of all draws.
        failures: the file of cases that failed before; they are tried first.
        names: the names of the engine and of the references. Without them no other process can run the campaign.
    """

    def __init__(
        self,
        engine: Engine,
        reference: Reference | References,
        ops: Sequence[str] | None = None,
        seed: int = 0,
        failures: Path | None = None,
        *,
        names: tuple[str, tuple[str, ...]] = ("", ()),
    ) -> None:
        self.engine = engine
        self.references = reference if isinstance(reference, References) else References([reference])
        self.ops = tuple(ops if ops is not None else (op for op in self.references.ops if op in engine.ops))
        self._sides = Sides(*names, self.ops, seed)
        self._store = FailureStore(failures)
        self._failed: dict[str, Case] = {}  # the cases with a failure, by op
        self._done: list[Record] = []
        self._tallies: dict[str, dict[int, Tally]] = {}  # by focus, then by the shard's first case

    @classmethod
    def by_name(
        cls,
        engine: str,
        references: Sequence[str],
        ops: Sequence[str] | None = None,
        seed: int = 0,
        failures: Path | None = None,
    ) -> Self:
        """Make a campaign from names, so that other processes can run it, too.

        Args:
            engine: a name in `ENGINES`, or `module:name`.
            references: names of the same kind.
            ops: as above.
            seed: as above.
            failures: as above.

        Raises:
            NoEngine: a name is unknown.
        """
        names = engine, tuple(references)
        return cls(*load(*names), ops, seed, failures, names=names)

    def run(self, profile: Profile, runner: Runner | None = None) -> Generator[Record, None, None]:
        """Run cases that failed before, programs of each op, expressions and the other checks; yield the records.

        A check that the engine or the references do not offer is skipped, and its record says so.

        Args:
            profile: how many cases of each.
            runner: runs the shards; by default this process. Failing cases are always shrunk in this process.

        Raises:
            ValueError: a runner was given, but the engine and the references were not given by name.
        """
        if runner is not None and not self._sides.engine:
            raise ValueError(f"{self.engine.name} and {self.references.name} must be given by name to run elsewhere")
        before = self._store.cases()
        try:
            yield from self._again(before)
            yield from self._run(self._numbers(profile), runner or Here((self.engine, self.references)))
            yield from self._left_out(profile)
        finally:
            with deferred():
                self._store.keep(
                    [*self._failed.values(), *(f.case for record in self.records for f in record.failures)]
                )

    @property
    def seed(self) -> int:
        """The seed of all draws."""
        return self._sides.seed

    @property
    def records(self) -> list[Record]:
        """The records so far, including unfinished ones, since a run may be interrupted."""
        return [*self._done, *(self._partial(focus) for focus, tallies in self._tallies.items() if tallies)]

    def _partial(self, focus: str) -> Record:
        record, failing = merged(focus, self._in_order(focus))
        if failing:
            record.failures.append(_as_found(failing.trial, (self.seed, focus, failing.number)))
        return record

    def _in_order(self, focus: str) -> list[Tally]:
        return [tally for _, tally in sorted(self._tallies[focus].items())]

    # Running.

    def rows(self, profile: Profile) -> int:
        """Return how many records there will be, not counting that of the cases that failed before."""
        return len(self._numbers(profile)) + len(list(self._left_out(profile)))

    def _numbers(self, profile: Profile) -> dict[str, int]:
        """Return the number of cases of each focus."""
        programs = dict.fromkeys(self.ops, profile.for_each_op)
        if programs:
            programs[EXPRESSIONS] = profile.expressions
        return {**programs, **{kind: n for kind, n in profile.checks.items() if not self._why_left_out(kind)}}

    def _left_out(self, profile: Profile) -> Iterator[Record]:
        for kind in profile.checks:
            if why := self._why_left_out(kind):
                yield Record(kind, left_out=why)

    def _why_left_out(self, kind: str) -> str:
        """Return why cases of this kind are skipped; empty if they are not."""
        return why_skipped(kind, self.engine, self.references)

    def _again(self, cases: Sequence[Case]) -> Iterator[Record]:
        """Rerun those cases that failed the last time and belong to this campaign."""
        for case in cases:  # a case stays stored until it has been rerun
            self._failed[str(case)] = case
        record = Record(AGAIN)
        for case in filter(self._is_asked_for, cases):
            if not record.programs:
                self._done.append(record)
            trial = case.run(self.engine, self.references)
            record.add(trial.verdict)
            if trial.verdict.result.blames:
                self._note(record, self.explained(trial))
            del self._failed[str(case)]
        if record.programs:
            yield record

    def _is_asked_for(self, case: Case) -> bool:
        if isinstance(case, ProgramCase):
            return all(step.op in self.ops for step in case.program.steps)
        return not self._why_left_out(case.kind)

    def _run(self, numbers: Mapping[str, int], runner: Runner) -> Iterator[Record]:
        """Run shards, and yield the record of each focus as soon as all earlier records are complete."""
        shards: dict[str, list[Shard]] = {focus: [] for focus in numbers}
        for shard in shards_of(numbers):
            shards[shard.focus].append(shard)
        self._tallies = {focus: {} for focus in numbers}
        done: set[Shard] = set()
        waiting = list(numbers)
        for shard in runner.run(self._unended(shards), self._sides, self._begun):
            done.add(shard)
            while waiting and self._is_complete(shards[waiting[0]], done):
                yield self._completed(waiting.pop(0))
        for focus in waiting:  # those without cases, or whose last shards were skipped
            yield self._completed(focus)

    def _begun(self, shard: Shard, tally: Tally) -> None:
        if shard.focus in self._tallies:  # otherwise its record is already complete
            self._tallies[shard.focus][shard.first] = tally

    def _unended(self, shards: Mapping[str, Sequence[Shard]]) -> Iterator[Shard]:
        """Yield the shards, except those after a failing one, which would show nothing new."""
        for shard in (shard for some in shards.values() for shard in some):
            tallies = self._tallies.get(shard.focus)  # None once the record is complete
            if tallies is not None and not any(t.is_ended for first, t in tallies.items() if first < shard.first):
                yield shard

    def _is_complete(self, shards: Sequence[Shard], done: set[Shard]) -> bool:
        """Whether all shards of a focus up to the first failing one are done."""
        for shard in shards:
            if shard not in done:
                return False
            if self._tallies[shard.focus][shard.first].is_ended:
                return True
        return True

    def _completed(self, focus: str) -> Record:
        record, failing = merged(focus, self._in_order(focus))
        lacking = skipped_calls(focus, self.engine, self.references) if focus in SCRIPTED else ()
        record.left_out = f"the calls {', '.join(lacking)}" if lacking else ""
        del self._tallies[focus]
        self._done.append(record)
        if failing:
            self._look_into(record, failing.trial, (self.seed, focus, failing.number))
        return record

    # Failures.

    def _look_into(self, record: Record, trial: Trial, found: Found) -> None:
        """Shrink and explain a failing case, unless its op already has a failure: then it would show nothing new."""
        try:
            told = self._told(trial)
            own = self._of_focus(trial, found[1]) if told else trial
            if own is None:
                record.told = told
            else:
                self._note(record, self.explained(self.smallest(own), found))
        except BaseException:  # the run was interrupted: the failure is reported unshrunk
            self._note(record, _as_found(trial, found))
            raise

    def _told(self, trial: Trial) -> str:
        """Return what is at fault in a case if it has failed before. Where none of its ops has, nothing is located."""
        if not isinstance(trial.case, ProgramCase):
            at_fault = trial.case.kind
        elif any(step.op in self._failed for step in trial.case.program.steps):
            at_fault = self._why(trial)[0]
        else:
            return ""
        return at_fault if at_fault in self._failed else ""

    def _of_focus(self, trial: Trial, focus: str) -> Trial | None:
        """Return a trial of a step of the focus by itself, if that fails too: another op's failure must not hide it."""
        if not isinstance(trial.case, ProgramCase) or focus in self._failed:
            return None
        program = trial.case.program
        for step, alone in steps_alone(program, self.engine.run(program)):
            if program.steps[step].op == focus:
                own = ProgramCase(alone).run(self.engine, self.references)
                if own.verdict.result.blames:
                    return own
        return None

    def _note(self, record: Record, failure: Failure) -> None:
        self._failed[failure.op] = failure.case
        record.failures.append(failure)

    def smallest(self, trial: Trial) -> Trial:
        """Return the trial of the smallest case found that fails in the same way."""
        kinds = frozenset(finding.kind for finding in trial.verdict.findings)
        references = self.references.led_by(trial.verdict.reference)
        references = references.auditing_all() if trial.verdict.by_audit else references.without_audits()
        return shrink(trial, lambda case: case.reproduce(kinds, self.engine, references))

    def explained(self, trial: Trial, found: Found | None = None) -> Failure:
        """Locate and explain what goes wrong in a case that fails.

        Args:
            trial: of that case.
            found: the draw that found it; None if it was given.
        """
        op, explanation = self._why(trial)
        return Failure(op, trial.case, trial.verdict, explanation, trial.transcript, found)

    def _why(self, trial: Trial) -> tuple[str, Explanation]:
        """Return the op at fault in a program, or the check of another case, and the explanation."""
        if not isinstance(trial.case, ProgramCase):
            return trial.case.kind, _of_findings(trial)
        program, reference = trial.case.program, self.references.by_name(trial.verdict.reference)
        origin = localise(program, self.engine, reference)
        sides = self.engine, reference
        return at_fault(program, origin), explain(program, trial.verdict, origin, reference.known, sides)


def _as_found(trial: Trial, found: Found) -> Failure:
    """Make an unshrunk failure, after the run was interrupted."""
    case, verdict = trial.case, trial.verdict
    if not isinstance(case, ProgramCase):
        return Failure(case.kind, case, verdict, _of_findings(trial), trial.transcript, found)
    explanation = explain(case.program, verdict, Origin(None, "the run ended before it was shrunk"))
    return Failure(case.program.steps[-1].op, case, verdict, explanation, found=found)


def _of_findings(trial: Trial) -> Explanation:
    """Explain the first finding of a case that is not a program."""
    return explain_finding(trial.verdict.findings[0], trial.raised) if trial.verdict.findings else Explanation()
