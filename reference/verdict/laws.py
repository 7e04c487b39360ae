"""What holds of any engine, whatever it computes: operands untouched, gradients its own, equal runs equal, refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from reference.engines import Outcome
from reference.forward import is_refused
from reference.program import NUMBER, Program
from reference.verdict.distance import worst_place
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Result, Verdict, parts


def refusals(got: Outcome, wanted: Outcome, program: Program) -> Verdict:
    """Both sides must refuse what NumPy refuses, and nothing else. What both do against the plan decides nothing.

    Where one side alone refuses, the definitions of the op table are a third opinion: they refuse what NumPy does.
    """
    meant = program.cotangent is None
    if got.error is not None and wanted.error is not None:
        if meant:
            return Verdict(Result.AGREES, refused=True)
        return _raised(Result.INCONCLUSIVE, program, wanted, f"is refused by both sides: {wanted.error}")
    if got.error is None and wanted.error is None:
        return _raised(Result.INCONCLUSIVE, program, wanted, "was meant to be refused, but both sides accept it")
    if got.error is not None:
        return _refused_by_the_engine(got, got.error, program)
    return _refused_by_the_reference(wanted, wanted.error, program)


def _refused_by_the_engine(got: Outcome, error: BaseException, program: Program) -> Verdict:
    in_a_step = len(got.values) < len(program.steps)
    if in_a_step and is_refused(program):
        says = f"is refused by NumPy and by the engine ({error}), but the reference accepts it"
        return _raised(Result.REFERENCE_WRONG, program, got, says)
    return _raised(Result.ENGINE_WRONG, program, got, f"raised {type(error).__name__}: {error}")


def _refused_by_the_reference(wanted: Outcome, error: BaseException | None, program: Program) -> Verdict:
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, NotImplementedError):
        return _raised(Result.UNSUPPORTED, program, wanted, f"is not supported by the reference, which says {words}")
    if len(wanted.values) < len(program.steps) and is_refused(program):
        says = f"was accepted, but must be refused; the reference says {words}"
        return _raised(Result.ENGINE_WRONG, program, wanted, says)
    return _raised(Result.REFERENCE_WRONG, program, wanted, f"is right, but the reference says {words}")


def fitting(program: Program, got: Outcome, wanted: Outcome) -> tuple[Outcome, list[Finding]]:
    """What of the reference's gradients has the shape and dtype of its leaf; and findings of what has not.

    A gradient that the engine gives as it must be stands in the place of one that the reference does not.
    """
    findings: list[Finding] = []

    def fitted(mine: Sequence[Any], theirs: Sequence[Any], prefix: str) -> tuple[Any, ...]:
        arrays = list(theirs)
        for i, (leaf, a, b) in enumerate(zip(program.leaves, mine, theirs, strict=False)):
            is_theirs, is_mine = _fits(b, leaf.data), _fits(a, leaf.data)
            if not is_theirs and is_mine:
                says = f"is right, but the reference's has {_like(b)} and must have {_like(leaf.data)}"
                findings.append(Finding(Kind.SHAPE, f"{prefix}grad[{leaf.name}]", says, result=Result.REFERENCE_WRONG))
                arrays[i] = a
        return tuple(arrays)

    first = fitted(got.gradients, wanted.gradients, "")
    second = fitted(got.second, wanted.second, f"{SECOND_ORDER} ")
    return (replace(wanted, gradients=first, second=second) if findings else wanted), findings


def _fits(gradient: Any, leaf: np.ndarray) -> bool:
    return gradient is None or (_is_array(gradient) and (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype))


def _like(array: Any) -> str:
    return f"shape {array.shape} and dtype {array.dtype}" if _is_array(array) else f"type {type(array).__name__}"


def _raised(result: Result, program: Program, outcome: Outcome, says: str) -> Verdict:
    return Verdict(result, (Finding(Kind.RAISED, _step(program, outcome), says, result=result),))


def _step(program: Program, outcome: Outcome) -> str:
    done = len(outcome.values)
    return f"step {done + 1} ({program.steps[done].op})" if done < len(program.steps) else "the pass back"


def broken_laws(program: Program, got: Outcome) -> Iterator[Finding]:
    """Operands written into, gradients that share memory, a second pass that does not double."""
    given = [(o.name, o.data) for o in program.operands if o.kind != NUMBER]
    for (name, data), array in zip([*given, ("the cotangent", program.cotangent)], got.held, strict=True):
        if np.asarray(data).tobytes() != array.tobytes():
            yield Finding(Kind.INPUT_MUTATED, name, says="was written into by the engine")
    yield from _shared(program, got)
    yield from _not_doubled(program, got)


def _shared(program: Program, got: Outcome) -> Iterator[Finding]:
    gradients = [(f"grad[{o.name}]", g) for o, g in zip(program.leaves, got.gradients, strict=False) if _is_array(g)]
    arrays = [*gradients, *(("an operand or the cotangent", a) for a in got.held)]
    for i, j in _side_by_side([array for _, array in arrays]):
        (first, a), (second, b) = arrays[i], arrays[j]
        if i < len(gradients) and np.shares_memory(a, b):
            name, other = (first, second) if j >= len(gradients) else (second, first)
            yield Finding(Kind.ALIASED, name, says=f"shares its memory with {other}")


def _side_by_side(arrays: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """The pairs whose stretches of memory overlap, by their places: in one pass, for most arrays overlap none."""
    pairs: list[tuple[int, int]] = []
    reached: list[tuple[int, int]] = []  # the ends of stretches, and whose they are
    for start, end, i in sorted((*_stretch(a), i) for i, a in enumerate(arrays) if a.size):
        reached = [(until, j) for until, j in reached if until > start]
        pairs += [(min(i, j), max(i, j)) for _, j in reached]
        reached.append((end, i))
    return sorted(pairs)


def _stretch(array: np.ndarray) -> tuple[int, int]:
    """Where in memory an array begins and ends."""
    if not array.flags.c_contiguous:
        return byte_bounds(array)
    start: int = array.__array_interface__["data"][0]
    return start, start + array.nbytes


def _not_doubled(program: Program, got: Outcome) -> Iterator[Finding]:
    for leaf, once, twice in zip(program.leaves, got.gradients, got.twice, strict=False):
        if not _is_array(once):
            continue
        with np.errstate(all="ignore"):  # twice a large number may be infinite
            doubled = np.asarray(once + once)
        if not _equal(doubled, np.asarray(twice)):
            place, a, b = worst_place(np.asarray(twice), doubled)
            yield Finding(Kind.ACCUMULATION, f"grad[{leaf.name}] after a second backward", "", place, a, b)


def repeated(program: Program, once: Outcome, again: Outcome) -> Iterator[Finding]:
    """Two runs of one program must be equal to the bit."""
    if again.error is not None:
        yield Finding(Kind.NON_DETERMINISTIC, "the second run", f"raised {again.error}, and the first did not")
        return
    for a, b in zip(parts(program, once), parts(program, again), strict=True):
        if _is_array(a.array) and (not _is_array(b.array) or a.array.tobytes() != b.array.tobytes()):
            yield Finding(Kind.NON_DETERMINISTIC, a.name, "differs from one run to the next")


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers. Their bits mostly tell, in a tenth of the time."""
    alike = (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()
    return alike or np.array_equal(a, b, equal_nan=True)


def _is_array(x: Any) -> bool:
    """What is no array is found wrong by itself."""
    return isinstance(x, np.ndarray)
