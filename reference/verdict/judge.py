"""Runs a program in an engine and in the reference, and says what came of it, tier by tier."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from reference.engines import Engine, Noise, Outcome, Reference
from reference.engines.exact import ExactEngine
from reference.ops import OPS
from reference.program import Program
from reference.verdict.exactness import Exactness
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Part, Result, Verdict, parts
from reference.verdict.laws import broken_laws, fitting, refusals, repeated
from reference.verdict.rounding import MORE_RUNS, RUNS, Comparison, Unexplained, examine, is_single
from reference.verdict.steps import steps_alone

_WITNESS = ExactEngine()


def judge(
    program: Program, engine: Engine, reference: Reference, *, repeat: bool = True, patient: bool = True
) -> Verdict:
    """Run a program in both, and say what came of it.

    Args:
        program: the case.
        engine: what is judged.
        reference: what is believed.
        repeat: whether the engine runs twice, to see that it answers the same to the bit.
        patient: whether to go on to the third tier. A verdict without it may be wrong, and is quick: it serves to try
            what a wrong program could be reduced to.
    """
    verdict = _judged(program, engine, reference, repeat=repeat, patient=patient)
    return replace(verdict, reference=reference.name)


def _judged(program: Program, engine: Engine, reference: Reference, *, repeat: bool, patient: bool) -> Verdict:
    wanted = reference.run(program)
    got = engine.run(program)
    if got.error is not None or wanted.error is not None or program.cotangent is None:
        return refusals(got, wanted, program)
    broken = [*broken_laws(program, got), *(repeated(program, got, engine.again(program)) if repeat else ())]
    wanted, misshapen = fitting(program, got, wanted)
    case = _Case(program, engine, reference, got, wanted)
    compared = case.compared()
    findings = [
        *broken,
        *misshapen,
        *compared.misfits,
        *(case.settled(compared) if patient else _taken_as_wrong(compared)),
    ]
    findings.sort(key=lambda f: -f.result.gravity)
    result = findings[0].result if findings else Result.AGREES if compared.at_once else Result.CONDITIONED
    left = tuple(f for f in findings if f.result is not Result.CONDITIONED)
    witnessed = patient and case.witnessed
    return Verdict(result, left, compared.numbers, compared.worst, witnessed=witnessed)


def _taken_as_wrong(compared: Comparison) -> list[Finding]:
    return [unexplained.finding for unexplained in compared.unexplained]


class _Case:
    """One program and what both sides made of it."""

    def __init__(self, program: Program, engine: Engine, reference: Reference, got: Outcome, wanted: Outcome) -> None:
        self._program = program
        self._engine = engine
        self._reference = reference
        self._got = got
        self._wanted = wanted
        self.witnessed = False

    def compared(self) -> Comparison:
        """Tiers 1 and 2."""
        return self._examined(self._wanted, None)

    def settled(self, compared: Comparison) -> list[Finding]:
        """Tier 3: what each difference that rounding does not explain comes to."""
        remaining = self._on_its_own_way(compared.unexplained)
        self.witnessed = bool(remaining)
        if not remaining:
            return []
        sides, convention = (self._engine, self._reference), self._is_a_matter_of_convention()
        exactness = Exactness(
            self._program,
            sides,
            _WITNESS,
            self._got,
            self._followed,
            single=self._single(),
            convention=convention,
            authority=self._reference.abilities.disturb,
        )
        findings = [exactness.settle(unexplained) for unexplained in remaining]
        return self._looked_at_again(findings) if any(map(_is_left_open, findings)) else findings

    def _looked_at_again(self, findings: Sequence[Finding]) -> list[Finding]:
        """What the witness could not tell: the reference settles it, unless that is wrong in the program or a step.

        Before, it is held against what rounding does where results jump within a disturbance.
        """
        authority = not any(f.result is Result.REFERENCE_WRONG for f in findings) and self._reference.abilities.disturb
        if authority:
            again = self._examined(self._followed, self._got.values, again=1.0)
            still = {u.finding.part for u in again.unexplained}
            jump = [_is_left_open(f) and f.part not in still for f in findings]
            findings = [replace(f, result=Result.CONDITIONED) if j else f for f, j in zip(findings, jump, strict=True)]
        if any(map(_is_left_open, findings)) and not (authority and self._reference_is_right_in_each_step()):
            findings = [replace(f, result=Result.INCONCLUSIVE) if _is_left_open(f) else f for f in findings]
        return list(findings)

    def _reference_is_right_in_each_step(self) -> bool:
        """Whether the reference is not wrong in any of several steps by itself."""
        alone = [step for _, step in steps_alone(self._program, self._got)] if len(self._program.steps) > 1 else []
        verdicts = (judge(step, self._engine, self._reference, repeat=False) for step in alone)
        return all(verdict.result is not Result.REFERENCE_WRONG for verdict in verdicts)

    @cached_property
    def _followed(self) -> Outcome:
        """What the reference makes of the engine's own values; of its own, if it cannot go on from others."""
        if not self._reference.abilities.path:
            return self._wanted
        return self._reference.run(self._program, path=self._got.values)

    def _on_its_own_way(self, unexplained: Sequence[Unexplained]) -> list[Unexplained]:
        """What is left when the reference goes on, at each step, from the engine's value in place of its own.

        Each step is then judged on the operands that the engine had. Where rounding decided a comparison by a hair, or
        the sign of a zero a pole, both sides now decide alike; a step that is wrong is wrong still.
        """
        if not unexplained or not self._reference.abilities.path:
            return list(unexplained)
        path = self._got.values
        followed = self._followed
        if followed.error is not None:  # a value has a shape from which nothing goes on
            return list(unexplained)
        again = self._examined(followed, path, runs=MORE_RUNS)
        if again.misfits or any(_is_value(u.finding) for u in again.unexplained):
            return list(unexplained)
        still = {u.finding.part: u for u in again.unexplained}
        both = [(u, still[u.finding.part]) for u in unexplained if u.finding.part in still]
        left = [u._replace(wrong=u.wrong & v.wrong, rounding=np.maximum(u.rounding, v.rounding)) for u, v in both]
        return [u for u in left if u.wrong.any()]

    def _is_a_matter_of_convention(self) -> bool:
        """Whether both sides met kinks with the same numbers, so that rounding chose no slope for them.

        Nor is it one where PyTorch's own releases differ.
        """
        kinks = [OPS[step.op].kink for step in self._program.steps]
        met_alike = (
            np.array_equal(a, b, equal_nan=True)
            for kink, a, b in zip(kinks, self._got.values, self._followed.values, strict=False)
            if kink
        )
        declared = self._reference.conventions & {step.op for step in self._program.steps}
        return all(kink.settled for kink in kinks if kink) and not declared and all(met_alike)

    def _examined(
        self, wanted: Outcome, path: Sequence[Any] | None, runs: int = RUNS, again: float | None = None
    ) -> Comparison:
        def of(outcome: Outcome) -> list[Part]:
            return parts(
                self._program, outcome, second_order=self._engine.abilities.second_order, steps=path is not None
            )

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            return of(self._reference.run(self._program, noise=noise, precision=precision, path=path))

        can = self._reference.abilities.disturb and self._reference.abilities.precision
        single, seed = self._single(), self._seed
        return examine(
            of(self._got), of(wanted), rerun if can else None, single=single, seed=seed, runs=runs, again=again
        )

    def _single(self) -> bool:
        return is_single([o.data for o in self._program.operands] + list(self._wanted.values))

    @property
    def _seed(self) -> int:
        """Of the disturbances: the program's own, so that no two programs share a lucky one."""
        return zlib.crc32(b"".join(o.data.tobytes() for o in self._program.operands))


def _is_left_open(finding: Finding) -> bool:
    """Whether a second derivative is called wrong, though the witness cannot tell: it stands at a kink."""
    second = finding.part.startswith(SECOND_ORDER)
    return second and finding.result is Result.ENGINE_WRONG and finding.exact is None


def _is_value(finding: Finding) -> bool:
    return finding.kind is Kind.FORWARD
