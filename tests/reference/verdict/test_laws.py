"""Shared memory is found for arrays of any memory layout."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock

import numpy as np
import pytest

from reference.engines import Outcome
from reference.programs import Operand, Program, Step
from reference.verdict import Kind
from reference.verdict.evidence import Evidence
from reference.verdict.judges import laws

BLOCK = np.arange(12.0).reshape(3, 4)


def aliased(gradients: Sequence[np.ndarray]) -> list[tuple[str, str]]:
    """Return the gradients that are found to share memory, each with the other array's name."""
    operands = tuple(Operand(f"x{i}", np.ones(g.shape)) for i, g in enumerate(gradients))
    program = Program(operands, (Step("stack", tuple(range(len(operands)))),), np.ones(1))
    held = (*(o.array for o in operands), np.ones(1))
    evidence = Mock(Evidence, program=program, got=Outcome(gradients=tuple(gradients), held=held))
    found = list(laws.shared(evidence))
    assert all(finding.kind is Kind.ALIASED for finding in found)
    return [(finding.part, finding.says.removeprefix("shares its memory with ")) for finding in found]


@pytest.mark.parametrize(
    ("gradients", "wanted"),
    [
        ([BLOCK[0], BLOCK[1]], []),
        ([BLOCK[:, 0], BLOCK[:, 1]], []),  # their ranges of memory overlap, but they share no number
        ([BLOCK[::-1], BLOCK[1]], [("grad[x1]", "grad[x0]")]),
        (
            [BLOCK, BLOCK[:, 1], BLOCK[2]],
            [("grad[x1]", "grad[x0]"), ("grad[x2]", "grad[x0]"), ("grad[x2]", "grad[x1]")],
        ),
        ([BLOCK[:0], BLOCK], []),
    ],
    ids=["rows", "columns", "reversed", "three", "empty"],
)
def test_shared_memory_is_found_in_any_layout(gradients: list[np.ndarray], wanted: list[tuple[str, str]]) -> None:
    """Rows or columns of one block share nothing; a row shares memory with its block, and the later one is reported."""
    assert sorted(aliased(gradients)) == wanted


def test_one_gradient_among_very_many_is_found() -> None:
    """Two of five hundred gradients are one array."""
    many = [np.zeros(2) for _ in range(500)]
    many[321] = many[17]
    assert aliased(many) == [("grad[x321]", "grad[x17]")]
