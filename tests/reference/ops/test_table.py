"""The op table is complete, has one row per name and needs no framework; the kinks' conventions hold."""

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
    """The tables of ndgrad's rules and of the ops have the same names."""
    assert sorted(OPS) == sorted(RULES)


def test_each_row_has_a_name_of_its_own() -> None:
    """No two rows share a name: the table has as many rows as the files. No alias is another op's name or alias."""
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
    """The table, the generator, the witness, the shrinker and the verdict import no framework."""
    code = (
        f"import sys, reference.{module}; print({{'torch', 'jax', 'autograd', 'ndgrad.engine'}} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# Kinks.

EXAMPLES = [(op.name, line, wanted) for op in OPS.values() if op.kink for line, wanted in op.kink.examples]


@pytest.mark.parametrize(("op", "line", "wanted"), EXAMPLES, ids=[op for op, *_ in EXAMPLES])
def test_the_convention_of_each_kink_holds(op: str, line: str, wanted: list[Any]) -> None:
    """PyTorch and ndgrad give the example's gradients, and the example lies at the kink."""
    program, kink = parse(line), OPS[op].kink
    for engine in (TORCH, NDGRAD):
        outcome = engine.run(program)
        for gradient, expected in zip(outcome.gradients, wanted, strict=True):
            np.testing.assert_array_equal(gradient, expected, err_msg=engine.name)
    (step,) = program.steps
    assert kink
    assert np.any(kink.at(*(np.asarray(program.operands[i].array) for i in step.inputs), **step.options))


def test_each_kink_has_an_example() -> None:
    """Each row with a kink has a program that shows its convention."""
    assert {op for op, *_ in EXAMPLES} == {op.name for op in OPS.values() if op.kink}


@pytest.mark.parametrize("op", [op.name for op in OPS.values() if op.selects])
def test_ops_that_select_never_round(op: str) -> None:
    """Each number of the result is an operand's number, up to its sign, or 0."""
    for operands, options in ordinary(op, "float32", 40):
        irregular = [np.asarray(x + x / 3) for x in operands]  # with all digits in use
        result = forward(OPS[op], irregular, options)
        sizes = {0.0, *(abs(float(number)) for x in irregular for number in x.flat)}
        assert {abs(float(number)) for number in result.flat} <= sizes, options


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
    """Python numbers are weak, and arrays of integers and booleans are cast to the dtype of the float arrays."""
    assert promoted(operands) == dtype
    assert forward(OPS["add"], operands, {}).dtype == dtype
