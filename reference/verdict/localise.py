"""Find the step of a program that first goes wrong, by comparing every value, and then every step by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference.engines import Engine, Noise, Outcome, Reference
from reference.programs import LEAF, Program, Step
from reference.verdict.findings import Kind, Part
from reference.verdict.judge import compare, judge
from reference.verdict.rounding import is_single
from reference.verdict.steps import steps_alone


@dataclass(frozen=True)
class Origin:
    """The origin of a failure.

    Args:
        step: the index of the step that first goes wrong; None if each step is right by itself.
        says: what goes wrong there, in words.
        alone: the step as a program of its own that fails, too; None if its value is wrong, or no step is.
    """

    step: int | None
    says: str
    alone: Program | None = None


def localise(program: Program, engine: Engine, reference: Reference) -> Origin:
    """Find the first step whose value is wrong; else the last step whose pullback is wrong."""
    got = engine.run(program)
    names = program.names
    first = len(program.operands)
    if len(got.values) < len(program.steps):
        return Origin(len(got.values), "it is not computed")
    wrong_value = _first_wrong_value(program, got, engine, reference)
    if wrong_value is not None:
        return Origin(wrong_value, f"the value of {names[first + wrong_value]}")
    if program.cotangent is None:
        return Origin(len(program.steps) - 1, "it is accepted")
    for step, alone in _backwards(program, got, reference):
        if judge(alone, engine, reference).result.blames:
            inputs = " and ".join(dict.fromkeys(names[i] for i in program.steps[step].inputs))
            return Origin(step, f"what it passes back to {inputs}", alone)
    return Origin(None, f"each step alone is right; {_where_it_meets(program, got, reference)}")


def _first_wrong_value(program: Program, got: Outcome, engine: Engine, reference: Reference) -> int | None:
    """Find the first step whose value is wrong for the operands that the engine had."""
    if not (reference.abilities.path and reference.abilities.disturb):
        return _first_wrong_alone(program, got, engine, reference)
    followed = reference.run(program, path=got.values)
    for step in range(len(program.steps)):
        if step >= len(followed.values):
            return step

        def at(outcome: Outcome, step: int = step) -> list[Part]:
            return [Part("value", Kind.FORWARD, outcome.values[step])]

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            return at(reference.run(program, noise=noise, precision=precision, path=got.values))

        single = is_single([o.data for o in program.operands])
        if compare(at(got), at(followed), rerun, single=single).result.condemns:
            return step
    return None


def _first_wrong_alone(program: Program, got: Outcome, engine: Engine, reference: Reference) -> int | None:
    """Find it by judging each step by itself, if the reference cannot run from the engine's values."""
    for step, alone in steps_alone(program, got):
        findings = judge(alone, engine, reference, repeat=False).findings
        if any(f.kind is Kind.FORWARD and f.result.condemns for f in findings):
            return step
    return None


def _backwards(program: Program, got: Outcome, reference: Reference) -> Iterator[tuple[int, Program]]:
    """Give each step by itself, the last first: with the cotangent that it gets, then with one of distinct numbers."""
    can = reference.abilities.path and reference.abilities.inner
    inner = reference.run(program, path=got.values, inner=True).inner if can else ()
    alone = list(steps_alone(program, got))[::-1]
    for step, single in alone:
        if inner and inner[step] is not None:
            yield step, replace(single, cotangent=inner[step])
    yield from alone
    if program.directions:  # a linear op has second derivatives only if a nonlinear op follows
        yield from ((step, _squared(single)) for step, single in alone)


def _squared(program: Program) -> Program:
    """Return the program with its result squared."""
    return replace(program, steps=(*program.steps, Step("square", (program.result,))))


def _where_it_meets(program: Program, got: Outcome, reference: Reference) -> str:
    """Describe the latest value with a wrong gradient, if each step is right: contributions meet there."""
    if not (reference.abilities.path and reference.abilities.inner):
        return "what goes wrong lies between them"
    wanted = reference.run(program, path=got.values, inner=True)
    names = program.names
    both = zip(_gradients(program, got), _gradients(program, wanted), strict=True)
    for i, (mine, theirs) in list(enumerate(both))[::-1]:
        is_known = any(g is not None for g in got.inner) or i < len(program.operands)
        if is_known and not _near(mine, theirs):
            if i == program.result:
                return f"the gradient of the result, {names[i]}, is not what was sent any more: was it written into?"
            return f"contributions to {names[i]} do not meet as they should"
    return "what goes wrong lies between them"


def _gradients(program: Program, outcome: Outcome) -> list[Any]:
    """Return the gradient of each value or None: operands first, then steps."""
    leaves = iter(outcome.gradients)
    operands = [next(leaves, None) if o.kind == LEAF else None for o in program.operands]
    return [*operands, *(outcome.inner or [None] * len(program.steps))]


def _near(a: Any, b: Any) -> bool:
    """Whether two gradients are equal up to rounding; None stands for zeros."""
    if a is None or b is None:
        return not np.any(b if a is None else a) if a is not b else True
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-5, atol=0, equal_nan=True))
