"""Says whether an engine's numbers are right, and if not, in what way. It asks in tiers, and pays where it must.

1. Agree at once: within a few units in the last place (ULP), NaN and infinities in the same places.
2. Is it rounding? Two estimates of the error that rounding may cause. The condition: the reference runs again with
   every operand use, and every number kept for the way back, disturbed by a known factor; how far results move is how
   much this program magnifies rounding. And the reference's own error: what it gives in another precision.
3. Who is right? An exact witness has its place here. Until it is there, a difference that rounding does not explain is
   the engine's, unless rounding decided a comparison.

A tolerance is never scaled by the size of an array: each number is bounded by its own terms. This module knows neither
PyTorch nor any op: it is given two outcomes, and a way to run the reference again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np

from reference.engines import Noise, Outcome
from reference.engines.protocol import Engine
from reference.program import NUMBER, Program

# Tier 1. Of gradients of random expressions in a right engine 93.5 % lie within 8 ULP of PyTorch's.
AT_ONCE = 8.0
# Tier 2. How many times the estimated error is let pass. On 12,000 random expressions a right engine's error was at
# most 3.4 times the estimate.
MARGIN = 16.0
# How strongly operands are disturbed: far above rounding, and far below where results bend. A power of 2.
DISTURBANCE = 2.0**-34
# How often: the largest movement counts. Five runs are few: of a million numbers some will have moved, by chance, a
# tenth of what they can, in each; and one run in single precision may be off by little, by chance. So what is off by
# little more than the bound is looked at again, with many more of both.
RUNS = 5
MORE_RUNS = 25
LITTLE_MORE = 1e6
# So little of the largest number met may be all rounding, whatever the first look said; in single precision, more.
LITTLE, LITTLE_SINGLE = 2.0**-30, 2.0**-10
# Where results bend within less than the disturbance, as a spread of one unit in the last place does, a disturbance of
# four such units shows by itself what rounding does.
ROUNDING, ROUNDING_SINGLE = 2.0**-51, 2.0**-22
# How far operands are nudged to see single precision round otherwise: an exponential near 1 must come to lie between
# other neighbours. The numbers are hardly others.
NUDGE = 2.0**-10


SECOND_ORDER = "second-order"  # how the name of a part begins that is differentiated twice


class Kind(StrEnum):
    """In what way an outcome is wrong."""

    FORWARD = "FORWARD"
    GRADIENT = "GRADIENT"
    SHAPE = "SHAPE"
    DTYPE = "DTYPE"
    MISSING = "MISSING"
    RAISED = "RAISED"
    ACCUMULATION = "ACCUMULATION"
    ALIASED = "ALIASED"
    INPUT_MUTATED = "INPUT-MUTATED"
    NON_DETERMINISTIC = "NON-DETERMINISTIC"


class Result(StrEnum):
    """What a case came to."""

    AGREES = "agrees"
    CONDITIONED = "agrees within conditioning"
    ENGINE_WRONG = "the engine is wrong"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an outcome.

    Args:
        kind: in what way.
        part: of what, as `grad[x]`.
        says: what was found, in words, where no two numbers can be set side by side.
        place: the index of the worst number.
        got: the engine's number there.
        wanted: the reference's.
        ulp: how far they are apart.
        allowed: how far they may be.
        arrays: both sides in full, for whoever looks for a cause.
    """

    kind: Kind
    part: str
    says: str = ""
    place: tuple[int, ...] = ()
    got: Any = None
    wanted: Any = None
    ulp: float = 0.0
    allowed: float = AT_ONCE
    arrays: tuple[Any, Any] = field(default=(None, None), repr=False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """What a case came to.

    Args:
        result: the outcome.
        findings: what is wrong, or could not be decided.
        numbers: how many were compared.
        worst: the largest distance among those that agreed at once, in ULP.
        refused: whether both sides refused, as they should.
    """

    result: Result
    findings: tuple[Finding, ...] = ()
    numbers: int = 0
    worst: float = 0.0
    refused: bool = False


class Part(NamedTuple):
    """An array of an outcome, by name."""

    name: str
    kind: Kind
    array: Any


class Reference(Protocol):
    """An engine that is believed, and can be run in another precision and disturbed."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def run(self, program: Program, noise: Noise | None = None, wide: bool | None = None) -> Outcome:  # noqa: FBT001
        """Run a program, in double (`wide`), in single precision (not `wide`) or as it is."""
        ...

    def undecided(self, program: Program, got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> int | None:
        """The first step that compares numbers, and with the engine's operands decides otherwise than with its own."""
        ...


def judge(
    program: Program, engine: Engine, reference: Reference, *, repeat: bool = True, patient: bool = True
) -> Verdict:
    """Run a program in both, and say what came of it.

    Args:
        program: the case.
        engine: what is judged.
        reference: what is believed.
        repeat: whether the engine runs twice, to see that it answers the same to the bit.
        patient: whether what rounding does not explain at first is looked at again. A verdict without it may be wrong,
            and is quick: it serves to try what a wrong program could be reduced to.
    """
    wanted = reference.run(program)
    got = engine.run(program)
    if got.error is not None or wanted.error is not None or program.cotangent is None:
        return _refusals(got, wanted, program)
    findings = [*_laws(program, got), *(_repeated(program, got, engine.run(program)) if repeat else ())]
    both = engine.second_order
    named = (parts(program, got, second_order=both), parts(program, wanted, second_order=both))

    def rerun(noise: Noise | None, wide: bool | None) -> list[Part]:  # noqa: FBT001
        return parts(program, reference.run(program, noise, wide), second_order=both)

    single = _single([o.data for o in program.operands] + list(wanted.values))
    scale = _scale(program, wanted) if patient else None
    compared = compare(*named, rerun, single=single, scale=scale)
    if compared.findings and not findings and _is_undecided(program, got, wanted, reference, compared.findings):
        return Verdict(Result.INCONCLUSIVE, compared.findings, compared.numbers, compared.worst)
    findings += compared.findings
    result = Result.ENGINE_WRONG if findings else compared.result
    return Verdict(result, tuple(findings), compared.numbers, compared.worst)


def _scale(program: Program, wanted: Outcome) -> float:
    """The largest number that a program meets: what is far smaller may be all rounding."""
    arrays = [*(np.asarray(o.data, float) for o in program.operands), *wanted.values]
    largest = [float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays]
    return max(largest) * max(1.0, float(np.abs(np.asarray(program.cotangent)).max(initial=0.0)))


def _is_undecided(
    program: Program, got: Outcome, wanted: Outcome, reference: Reference, findings: Sequence[Finding]
) -> bool:
    """Whether either side may be right: at a pole that a zero decided by its sign, or a kink that rounding decided.

    A sum may leave 0 or -0, and a pole beside it is inf or -inf. At a kink values agree, and only slopes may differ;
    and a slope has no slope of its own there, so that PyTorch may say NaN, where an engine has a number.
    """
    kinds = {finding.kind for finding in findings}
    if not kinds <= {Kind.FORWARD, Kind.GRADIENT}:
        return False
    arrays = (*wanted.values, *wanted.gradients, *wanted.second)
    if all(map(_bends, findings)):
        return True
    if _zeros_differ(got, wanted) and any(a is not None and np.isinf(a).any() for a in arrays):
        return True
    return kinds == {Kind.GRADIENT} and reference.undecided(program, got.values, wanted.values) is not None


def _bends(finding: Finding) -> bool:
    """Whether all that is found is that PyTorch has no second derivative where the engine has a number."""
    return finding.part.startswith(SECOND_ORDER) and bool(np.isfinite(finding.got) and np.isnan(finding.wanted))


def _zeros_differ(got: Outcome, wanted: Outcome) -> bool:
    """Whether a zero on the way has another sign on one side than on the other."""
    pairs = zip(got.values, wanted.values, strict=False)
    return any(((a == 0) & (b == 0) & (np.signbit(a) != np.signbit(b))).any() for a, b in pairs if a.shape == b.shape)


def parts(program: Program, outcome: Outcome, *, second_order: bool = True) -> list[Part]:
    """What of an outcome is compared: the result, and each leaf's gradients."""
    names = [o.name for o in program.leaves]
    first = _one_each(outcome.gradients, names)
    second = _one_each(outcome.second, names) if second_order and program.directions else []
    return [
        Part("value", Kind.FORWARD, outcome.values[-1] if outcome.values else None),
        *(Part(f"grad[{name}]", Kind.GRADIENT, g) for name, g in zip(names, first, strict=True)),
        *(Part(f"{SECOND_ORDER} grad[{name}]", Kind.GRADIENT, g) for name, g in zip(names, second, strict=False)),
    ]


def _one_each(gradients: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """A gradient for each leaf; none where an engine gave fewer."""
    return [gradients[i] if i < len(gradients) else None for i in range(len(names))]


# Refusals and laws.


def _refusals(got: Outcome, wanted: Outcome, program: Program) -> Verdict:
    """Both sides must refuse what NumPy refuses, and nothing else. What both do against the plan decides nothing."""
    meant = program.cotangent is None
    if got.error is not None and wanted.error is not None:
        if meant:
            return Verdict(Result.AGREES, refused=True)
        return _raised(Result.INCONCLUSIVE, program, wanted, f"is refused by both sides: {wanted.error}")
    if got.error is not None:
        says = f"raised {type(got.error).__name__}: {got.error}"
        return _raised(Result.ENGINE_WRONG, program, got, says)
    if wanted.error is None:
        return _raised(Result.INCONCLUSIVE, program, wanted, "was meant to be refused, but both sides accept it")
    says = f"was accepted, but must be refused; the reference says {type(wanted.error).__name__}: {wanted.error}"
    return _raised(Result.ENGINE_WRONG, program, wanted, says)


def _raised(result: Result, program: Program, outcome: Outcome, says: str) -> Verdict:
    return Verdict(result, (Finding(Kind.RAISED, _step(program, outcome), says),))


def _step(program: Program, outcome: Outcome) -> str:
    done = len(outcome.values)
    return f"step {done + 1} ({program.steps[done].op})" if done < len(program.steps) else "the pass back"


def _laws(program: Program, got: Outcome) -> Iterator[Finding]:
    """What holds of any engine: operands untouched, gradients their own, a second pass doubling."""
    given = [(o.name, o.data) for o in program.operands if o.kind != NUMBER]
    for (name, data), array in zip([*given, ("the cotangent", program.cotangent)], got.held, strict=True):
        if not np.array_equal(np.asarray(data), array, equal_nan=array.dtype.kind == "f"):
            yield Finding(Kind.INPUT_MUTATED, name, says="was written into by the engine")
    named = [(f"grad[{o.name}]", g) for o, g in zip(program.leaves, got.gradients, strict=False) if g is not None]
    for i, (name, gradient) in enumerate(named):
        for other, array in (*named[:i], *(("an operand or the cotangent", a) for a in got.held)):
            if np.shares_memory(gradient, array):
                yield Finding(Kind.ALIASED, name, says=f"shares its memory with {other}")
    yield from _doubled(program, got)


def _doubled(program: Program, got: Outcome) -> Iterator[Finding]:
    for leaf, once, twice in zip(program.leaves, got.gradients, got.twice, strict=False):
        if once is not None and not np.array_equal(once + once, twice, equal_nan=True):
            place, a, b = _worst_place(np.asarray(twice), np.asarray(once + once))
            yield Finding(Kind.ACCUMULATION, f"grad[{leaf.name}] after a second backward", "", place, a, b)


def _repeated(program: Program, once: Outcome, again: Outcome) -> Iterator[Finding]:
    if again.error is not None:
        yield Finding(Kind.NON_DETERMINISTIC, "the second run", f"raised {again.error}, and the first did not")
        return
    for a, b in zip(parts(program, once), parts(program, again), strict=True):
        if a.array is not None and np.asarray(a.array).tobytes() != np.asarray(b.array).tobytes():
            place, x, y = _worst_place(np.asarray(a.array), np.asarray(b.array))
            yield Finding(Kind.NON_DETERMINISTIC, a.name, "differs from one run to the next", place, x, y)


# Numbers.


Rerun = Callable[[Noise | None, bool | None], list[Part]]


def compare(
    got: Sequence[Part], wanted: Sequence[Part], rerun: Rerun, *, single: bool = False, scale: float | None = 1.0
) -> Verdict:
    """Compare two outcomes part by part.

    Args:
        got: the engine's.
        wanted: the reference's, in the same order.
        rerun: gives the reference's parts again, disturbed or in another precision.
        single: whether some of the computation is in single precision, whose rounding then counts.
        scale: the largest number that the computation meets; None to look but once.
    """
    findings, worst, numbers = [], 0.0, 0
    for mine, theirs in zip(got, wanted, strict=True):
        finding, distance, compared = _at_once(mine, theirs, single=single)
        numbers += compared
        worst = max(worst, 0.0 if finding else distance)
        findings += [finding] if finding else []
    if not findings:
        return Verdict(Result.AGREES, (), numbers, worst)
    rounding = _Rounding(wanted, rerun, single=single, scale=scale)
    remaining = tuple(_unexplained(findings, got, wanted, rounding))
    return Verdict(Result.ENGINE_WRONG if remaining else Result.CONDITIONED, remaining, numbers, worst)


def _single(arrays: Sequence[Any]) -> bool:
    return any(a.dtype == np.float32 for a in arrays)


def _at_once(mine: Part, theirs: Part, *, single: bool) -> tuple[Finding | None, float, int]:
    """Tier 1 for one part: what is wrong, the largest distance in ULP, and how many numbers were compared."""
    if mine.array is None:
        some = theirs.array is not None and np.any(theirs.array)
        missing = Finding(Kind.MISSING, mine.name, "is missing: no gradient arrived") if some else None
        return missing, 0.0, 0 if theirs.array is None else theirs.array.size
    wanted = np.zeros_like(mine.array) if theirs.array is None else theirs.array
    if not isinstance(mine.array, np.ndarray):
        says = f"is a {type(mine.array).__name__}, but must be an array of shape {wanted.shape}"
        return Finding(Kind.SHAPE, mine.name, says), 0.0, 0
    if mine.array.shape != wanted.shape:
        says = f"has shape {mine.array.shape}, but must have shape {wanted.shape}"
        return Finding(Kind.SHAPE, mine.name, says), 0.0, 0
    if mine.array.dtype != wanted.dtype:
        says = f"has dtype {mine.array.dtype}, but must have {wanted.dtype}"
        return Finding(Kind.DTYPE, mine.name, says), 0.0, 0
    if not mine.array.size:
        return None, 0.0, 0
    distance = ulps(mine.array, wanted, single=single)
    worst = float(distance.max())
    if worst <= AT_ONCE:
        return None, worst, mine.array.size
    place, a, b = _worst_place(mine.array, wanted, single=single)
    finding = Finding(mine.kind, mine.name, "", place, a, b, worst, AT_ONCE, (mine.array, wanted))
    return finding, worst, mine.array.size


def ulps(a: np.ndarray, b: np.ndarray, *, single: bool = False) -> np.ndarray:
    """How many representable numbers lie between two, elementwise.

    Zeros of either sign are one number. NaN is at distance 0 from NaN and infinitely far from all else. With `single`,
    in steps of single precision, for arrays of either.
    """
    if single and a.dtype == np.float64:
        with np.errstate(all="ignore"):
            fine = ulps(a, b)
            return np.where(np.isfinite(fine), fine * 2.0**-29, fine)
    distance = np.abs(_ordered(a) - _ordered(b)).astype(np.float64)
    # Beyond what an integer holds, the two have opposite signs and are far apart: their own difference tells.
    distance = np.where(
        np.signbit(a) != np.signbit(b), _ordered(np.abs(a)).astype(float) + _ordered(np.abs(b)), distance
    )
    both = np.isnan(a) & np.isnan(b)
    return np.where(both | (a == b), 0.0, np.where(np.isnan(a) | np.isnan(b), np.inf, distance))


def _ordered(x: np.ndarray) -> np.ndarray:
    """Floats as integers in the same order: neighbours differ by 1."""
    bits: np.ndarray = (
        np.ascontiguousarray(x).view({2: np.int16, 4: np.int32, 8: np.int64}[x.dtype.itemsize]).astype(np.int64)
    )
    lowest = -(2 ** (8 * x.dtype.itemsize - 1))
    return np.where(bits < 0, lowest - bits, bits).reshape(x.shape)


def _worst_place(a: np.ndarray, b: np.ndarray, *, single: bool = False) -> tuple[tuple[int, ...], Any, Any]:
    if a.shape != b.shape or not a.size:
        return (), a, b
    place = np.unravel_index(int(np.argmax(ulps(a, b, single=single))), a.shape)
    return tuple(int(i) for i in place), a[place], b[place]


def _unexplained(
    findings: Sequence[Finding], got: Sequence[Part], wanted: Sequence[Part], rounding: _Rounding
) -> Iterator[Finding]:
    """Tier 2: the findings that rounding does not explain."""
    mine = {part.name: part.array for part in got}
    theirs = {part.name: part.array for part in wanted}
    numeric = [f for f in findings if f.kind in (Kind.FORWARD, Kind.GRADIENT)]
    yield from (f for f in findings if f not in numeric)
    for finding in numeric:
        a, b = mine[finding.part], theirs[finding.part]
        wrong, bound = rounding.unexplained(finding.part, a)
        if wrong.any():
            yield _sharpened(finding, a, b, wrong, bound, single=rounding.single)


class _Rounding:
    """How far each number of each part may be off by rounding.

    Args:
        wanted: the reference's parts.
        rerun: gives them again, disturbed or in another precision.
        single: whether single precision's rounding counts. Then double precision shows what is right.
        scale: the largest number that the computation meets; None to look but once.
    """

    def __init__(self, wanted: Sequence[Part], rerun: Rerun, *, single: bool, scale: float | None) -> None:
        self.single = single
        self._scale = scale
        self._wanted = {part.name: part.array for part in wanted}
        self._rerun = rerun
        self._moved = {name: np.zeros(()) for name in self._wanted}
        self._own = dict(self._moved)
        self._runs = 0

    def _look(self) -> None:
        """The first estimate: some runs disturbed, and one in the other precision."""
        other = {part.name: part.array for part in self._rerun(None, self.single)}
        self._base = other if self.single else self._wanted
        self._own_scale = 1.0 if self.single else 2.0**-29  # from single precision's error to double's
        for name, array in self._wanted.items():
            self._own[name] = _finite(_apart(array, other[name])) * self._own_scale
        self._disturb(RUNS)

    def _disturb(self, runs: int) -> None:
        with np.errstate(all="ignore"):
            for seed in range(self._runs, runs):
                for part in self._rerun(Noise(DISTURBANCE, seed), self.single or None):
                    moved = _apart(part.array, self._base[part.name])
                    self._moved[part.name] = np.maximum(
                        self._moved[part.name], np.where(np.isnan(moved), np.inf, moved)
                    )
        self._runs = runs

    def _look_again(self) -> None:
        """Many more runs; and as many in both precisions, each nudged so far that what is rounded rounds otherwise."""
        self._disturb(MORE_RUNS)
        for seed in range(MORE_RUNS):
            single = self._rerun(Noise(NUDGE, seed), False)  # noqa: FBT003
            double = self._rerun(Noise(NUDGE, seed), True)  # noqa: FBT003
            for part, exact in zip(single, double, strict=True):
                off = _finite(_apart(part.array, exact.array)) * self._own_scale
                self._own[part.name] = np.maximum(self._own[part.name], off)
        for seed in range(MORE_RUNS):
            size = ROUNDING_SINGLE if self.single else ROUNDING
            for part in self._rerun(Noise(size, seed), self.single or None):
                moved = _finite(_apart(part.array, self._base[part.name])) / 4  # of rounding, not of four times as much
                self._own[part.name] = np.maximum(self._own[part.name], moved)

    def bound(self, name: str) -> np.ndarray:
        """How far the numbers of a part may be off."""
        unit, number = (2.0**-24, np.float32) if self.single else (2.0**-53, np.float64)
        condition = self._moved[name] / DISTURBANCE
        return MARGIN * np.maximum(condition * unit, self._own[name]) + float(np.finfo(number).tiny)

    def unexplained(self, name: str, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where an engine's numbers are off by more than rounding explains; and how far they may be."""
        wanted = self._wanted[name]
        if wanted is None:
            wanted = np.zeros_like(array)
        if not self._runs:
            self._look()
        with np.errstate(all="ignore"):
            near = ulps(array, wanted, single=self.single) <= AT_ONCE
            off = _apart(array, self._base[name] if self.single else wanted)
            off = np.where(np.isnan(off), np.inf, off)
            wrong = ~near & ~(off <= self.bound(name))
            if self._scale is not None and wrong.any() and self._runs < MORE_RUNS:
                little = (LITTLE_SINGLE if self.single else LITTLE) * self._scale
                if (off <= np.maximum(LITTLE_MORE * self.bound(name), little))[wrong].all():
                    self._look_again()
                    wrong = ~near & ~(off <= self.bound(name))
        return wrong, np.broadcast_to(self.bound(name), array.shape)


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)


def _sharpened(
    finding: Finding, a: np.ndarray, b: np.ndarray, wrong: np.ndarray, bound: np.ndarray, *, single: bool
) -> Finding:
    """The finding at the worst of the places that rounding does not explain, with what rounding would explain there."""
    distance = np.where(wrong, ulps(a, b, single=single), -1.0)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), a.shape))
    unit = float(np.spacing(np.abs(b[place]))) if np.isfinite(b[place]) else np.inf
    allowed = max(AT_ONCE, float(bound[place]) / (unit * (2.0**29 if single and b.dtype == np.float64 else 1.0)))
    return Finding(finding.kind, finding.part, "", place, a[place], b[place], float(distance[place]), allowed, (a, b))


def _apart(a: Any, b: Any) -> np.ndarray:
    """The absolute difference, in double precision: 0 between infinities of one sign and between NaNs."""
    a, b = (np.zeros(()) if x is None else np.asarray(x, float) for x in (a, b))
    with np.errstate(all="ignore"):
        return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
