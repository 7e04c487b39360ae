"""Elementwise ops agree with PyTorch at zeros, kinks, poles, infinities and NaN, and where they saturate."""

from __future__ import annotations

import numpy as np
import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS
from reference.programs import Operand, Program, Step
from reference.verdict import Result, judge

# Zeros of both signs, kinks and bounds, numbers that saturate, infinities and NaN.
POINTS = np.array([
    -np.inf, -1000.0, -40.0, -2.0, -1.0, -0.5, -1e-12, -0.0, 0.0, 1e-300, 1e-12, 0.25, 1.0, 2.0, 3.0, 1000.0, np.inf,
    np.nan,
])  # fmt: skip
PAIRS = tuple(a.ravel() for a in np.meshgrid(POINTS, POINTS))

ELEMENTWISE = [op for op in OPS.values() if op.inputs.elementwise]
UNARY = [op.name for op in ELEMENTWISE if op.inputs.slots == 1]
BINARY = [op.name for op in ELEMENTWISE if op.inputs.slots == 2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_special_points(name: str, dtype: type) -> None:
    """Values and slopes are PyTorch's at all special points, and at every pair of them for two operands.

    For ops with a known weakness of PyTorch the witness decides, and points near 1e-300, which its step is too large
    for, are left out.
    """
    points = (POINTS,) if name in UNARY else PAIRS
    if name in TorchEngine.known:
        tiny = np.any([np.abs(x) == 1e-300 for x in points], axis=0)
        points = tuple(x[~tiny] for x in points)
    operands = tuple(Operand(n, x.astype(dtype)) for n, x in zip("xy", points, strict=False))
    cotangent: np.ndarray = np.resize([1.0, -3.0, 0.5], points[0].size).astype(dtype)
    program = Program(operands, (Step(name, tuple(range(len(operands)))),), cotangent)
    verdict = judge(program, NdgradEngine(), TorchEngine())
    assert not verdict.result.blames, verdict.findings
    assert verdict.result is not Result.REFERENCE_WRONG or name in TorchEngine.known
    assert verdict.numbers == (1 + len(operands)) * points[0].size
