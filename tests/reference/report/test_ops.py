"""The page of ops has one line for each row of the op table."""

from __future__ import annotations

import pytest

from ndgrad.rules import RULES
from reference.ops import OPS
from reference.report import ops

LINES = {line.split("`")[1]: line for line in ops.page().splitlines() if line.startswith("| `")}


def test_every_op_has_a_line() -> None:
    """The lines are the rows of the op table, in its order, and each has three cells."""
    assert list(LINES) == list(OPS)
    assert {line.count(" | ") for line in LINES.values()} == {2}


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("divide", "`a / b`, `x.divide()`, `np.divide`"),
        ("getitem", "`x[...]`"),
        ("sum", "`x.sum()`, `np.sum`, `np.add.reduce`"),
        ("stack", "| `np.stack` |"),
        ("relu", "slope 0 at 0"),
        ("clip", "(releases of PyTorch differ: any subgradient will do)"),
        ("softplus", "PyTorch leaves out log1p(exp(-x)) above 20"),
    ],
)
def test_what_a_line_says(op: str, words: str) -> None:
    """A line has an op's other spellings, the slope at its kinks, and the limits of PyTorch."""
    assert words in LINES[op]


def test_operators_are_written_out() -> None:
    """Operators are written as in code, not by the name of Python's method."""
    assert set(ops._OPERATORS) == {RULES[op].operator for op in OPS if RULES[op].operator}
