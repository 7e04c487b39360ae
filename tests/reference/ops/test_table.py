"""The op table: complete, of one row a name, and of no framework; what a row says of its kinks holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ndgrad.rules import RULES
from reference import ops
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS, forward, promoted
from reference.programs import parse
from tests.reference.drawing import ordinary

NDGRAD, TORCH = NdgradEngine(), TorchEngine()


def test_every_rule_has_a_row_and_every_row_a_rule() -> None:
    """What ndgrad computes and what it must agree with are tables of the same ops."""
    assert sorted(OPS) == sorted(RULES)


def test_a_row_stands_under_its_name() -> None:
    """No two rows have one name: the table has as many rows as were written. No alias is another's name."""
    files = Path(ops.__file__).parent.glob("*.py")
    written = [
        name for file in files for name in re.findall(r'^    Op\("(\w+)"', file.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(written) == sorted(OPS)
    assert all(op.name == name for name, op in OPS.items())
    aliases = [alias for op in OPS.values() for alias in op.aliases]
    assert len({*aliases, *OPS}) == len(aliases) + len(OPS)


@pytest.mark.parametrize(
    "module",
    ["ops", "programs.generator", "programs.strategies", "engines", "engines.exact", "checks", "verdict"],
)
def test_no_framework_is_needed(module: str) -> None:
    """Importing the table, the generator, the witness, the shrinker or the verdict imports no engine."""
    code = (
        f"import sys, reference.{module}; print({{'torch', 'jax', 'autograd', 'ndgrad.engine'}} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


# Kinks.

KINKED = [(op.name, line, wanted) for op in OPS.values() if op.kink for line, wanted in op.kink.shown]


@pytest.mark.parametrize(("op", "line", "wanted"), KINKED, ids=[op for op, *_ in KINKED])
def test_what_a_row_says_of_its_kinks_holds(op: str, line: str, wanted: list[Any]) -> None:
    """In PyTorch, and in ndgrad; and the point that shows it lies at the kink."""
    program, kink = parse(line), OPS[op].kink
    for engine in (TORCH, NDGRAD):
        outcome = engine.run(program)
        for gradient, expected in zip(outcome.gradients, wanted, strict=True):
            np.testing.assert_array_equal(gradient, expected, err_msg=engine.name)
    (step,) = program.steps
    assert kink
    assert np.any(kink.at(*(np.asarray(program.operands[i].array) for i in step.inputs), **step.options))


def test_each_kink_is_shown() -> None:
    """No row says what no program shows."""
    assert {op for op, *_ in KINKED} == {op.name for op in OPS.values() if op.kink}


@pytest.mark.parametrize("op", [op.name for op in OPS.values() if op.selects])
def test_what_selects_makes_no_number(op: str) -> None:
    """Each number of the result is one of the operands', but for its sign, or 0: so nothing was rounded."""
    for operands, options in ordinary(op, "float32", 40):
        irregular = [np.asarray(x + x / 3) for x in operands]  # with all digits in use
        result = forward(OPS[op], irregular, options)
        given = {0.0, *(abs(float(number)) for x in irregular for number in x.flat)}
        assert {abs(float(number)) for number in result.flat} <= given, options


@pytest.mark.parametrize(
    ("operands", "dtype"),
    [
        ([np.zeros(2, np.float32), np.zeros(2, np.float64)], "float64"),
        ([np.zeros(2, np.float32), 1.5], "float32"),
        ([1.5, np.zeros((), np.float32)], "float32"),
        ([np.zeros(2, np.float32), np.zeros(2, np.int64)], "float32"),
        ([np.zeros(2, bool), np.zeros(2, np.float32)], "float32"),
        ([np.zeros(2, np.float64), 1], "float64"),
    ],
)
def test_operands_take_the_dtype_of_the_floats(operands: list[Any], dtype: str) -> None:
    """Of those that are arrays: Python numbers are weak, integers and booleans are cast."""
    assert promoted(operands) == dtype
    assert forward(OPS["add"], operands, {}).dtype == dtype
