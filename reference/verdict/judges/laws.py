"""Judges of laws for every engine: operands stay unchanged, gradients share no memory, and equal runs are equal.

All of them are asked, and each reports every breach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from reference.programs import NUMBER
from reference.verdict.distance import worst_place
from reference.verdict.findings import Finding, Kind, Result, parts

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence


def written_into(evidence: Evidence) -> Iterator[Finding]:
    """Report operands and cotangents that the engine has changed."""
    program = evidence.program
    operands = [(o.name, o.data) for o in program.operands if o.kind != NUMBER]
    for (name, data), array in zip([*operands, ("the cotangent", program.cotangent)], evidence.got.held, strict=True):
        if np.asarray(data).tobytes() != array.tobytes():
            yield Finding(Kind.INPUT_MUTATED, name, says="was written into by the engine")


def result_gradient(evidence: Evidence) -> Iterator[Finding]:
    """Report a gradient of the result that is not the cotangent, if the engine shows inner gradients."""
    program, inner = evidence.program, evidence.got.inner
    if program.steps and inner and _is_array(inner[-1]):
        sent = np.asarray(program.cotangent)
        if inner[-1].shape == sent.shape and not np.array_equal(inner[-1], sent, equal_nan=True):
            place, a, b = worst_place(inner[-1], sent)
            name, says = program.names[program.result], "is not the cotangent any more: a pullback has written into it"
            yield Finding(Kind.INPUT_MUTATED, f"grad[{name}]", says, place, a, b)


def shared(evidence: Evidence) -> Iterator[Finding]:
    """Report gradients that share memory with another gradient, an operand or the cotangent."""
    program, got = evidence.program, evidence.got
    gradients = [(f"grad[{o.name}]", g) for o, g in zip(program.leaves, got.gradients, strict=False) if _is_array(g)]
    arrays = [*gradients, *(("an operand or the cotangent", a) for a in got.held)]
    for i, j in _overlaps([array for _, array in arrays]):
        (first, a), (second, b) = arrays[i], arrays[j]
        if i < len(gradients) and np.shares_memory(a, b):
            name, other = (first, second) if j >= len(gradients) else (second, first)
            yield Finding(Kind.ALIASED, name, says=f"shares its memory with {other}")


def not_doubled(evidence: Evidence) -> Iterator[Finding]:
    """Report gradients that are not doubled by a second backward pass over the same graph."""
    for leaf, once, twice in zip(evidence.program.leaves, evidence.got.gradients, evidence.got.twice, strict=False):
        if not _is_array(once):
            continue
        with np.errstate(all="ignore"):  # twice a large number may be infinite
            doubled = np.asarray(once + once)
        if not _equal(doubled, np.asarray(twice)):
            place, a, b = worst_place(np.asarray(twice), doubled)
            yield Finding(Kind.ACCUMULATION, f"grad[{leaf.name}] after a second backward", "", place, a, b)


def not_repeated(evidence: Evidence) -> Iterator[Finding]:
    """Report parts in which two runs of the program are not equal to the bit."""
    program, again = evidence.program, evidence.again
    if again is None:
        return
    if again.error is not None:
        yield Finding(Kind.NON_DETERMINISTIC, "the second run", f"raised {again.error}, and the first did not")
        return
    for a, b in zip(parts(program, evidence.got), parts(program, again), strict=True):
        if _is_array(a.array) and (not _is_array(b.array) or a.array.tobytes() != b.array.tobytes()):
            yield Finding(Kind.NON_DETERMINISTIC, a.name, "differs from one run to the next")


def misshapen(evidence: Evidence) -> Iterator[Finding]:
    """Report gradients of the reference that lack their leaf's shape or dtype, while the engine's have them."""
    for misfit in evidence.misfits:
        says = f"is right, but the reference's has {_like(misfit.theirs)} and must have {_like(misfit.leaf.data)}"
        yield Finding(Kind.SHAPE, misfit.part, says, result=Result.REFERENCE_WRONG)


def _like(array: Any) -> str:
    return f"shape {array.shape} and dtype {array.dtype}" if _is_array(array) else f"type {type(array).__name__}"


def _overlaps(arrays: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Return the indices of pairs whose ranges of memory overlap. One pass suffices, for overlaps are rare."""
    pairs: list[tuple[int, int]] = []
    active: list[tuple[int, int]] = []  # ends of ranges, with the indices of their arrays
    for start, end, i in sorted((*_memory_range(a), i) for i, a in enumerate(arrays) if a.size):
        active = [(until, j) for until, j in active if until > start]
        pairs += [(min(i, j), max(i, j)) for _, j in active]
        active.append((end, i))
    return sorted(pairs)


def _memory_range(array: np.ndarray) -> tuple[int, int]:
    """Return the addresses at which an array's memory begins and ends."""
    if not array.flags.c_contiguous:
        return byte_bounds(array)
    start: int = array.__array_interface__["data"][0]
    return start, start + array.nbytes


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers. Comparing bytes mostly suffices, and takes a tenth of the time."""
    alike = (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()
    return alike or np.array_equal(a, b, equal_nan=True)


def _is_array(x: Any) -> bool:
    """Whether an object is an array. Other objects are reported by the judges of parts."""
    return isinstance(x, np.ndarray)
