"""PyTorch's mirrors compute NumPy's values, and refuse what NumPy refuses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import MIRRORS, TorchEngine, mirror
from reference.engines.torch.ops import KNOWN, shape_of, source_of
from reference.ops import OPS, Op, forward
from reference.ops.options import Options
from reference.ops.shapes import Shape
from reference.programs import Operand, Program, Step
from tests.reference.drawing import ordinary

NDGRAD, TORCH = NdgradEngine(), TorchEngine()

# Some cases have no degrees of freedom on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Degrees of freedom"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
    pytest.mark.filterwarnings(r"ignore:(var|std)\(\). degrees of freedom"),
]


def mirrored(op: str, operands: list[np.ndarray], options: Options) -> np.ndarray:
    """Compute an op in PyTorch."""
    y: np.ndarray = mirror(OPS[op])(*(torch.tensor(x) for x in operands), **options).numpy()
    return y


def test_pytorch_has_every_op() -> None:
    """Each op has a mirror, and each line belongs to an op of the table."""
    assert sorted(TORCH.ops) == sorted(OPS)
    assert set(MIRRORS) < set(OPS)
    assert set(KNOWN) < set(OPS)


def test_an_op_is_found_by_its_name_and_aliases() -> None:
    """The first name that PyTorch has is used, in `torch` or in `torch.nn.functional`."""
    assert [source_of(OPS[op]) for op in ("exp", "power", "softplus")] == ["torch.exp", "torch.pow", "F.softplus"]
    with pytest.raises(LookupError, match="PyTorch has no function nowhere: the op needs a line in MIRRORS"):
        mirror(Op("nowhere", np.exp))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float64", 1e-13, 1e-14), ("float32", 1e-5, 1e-6)])
def test_a_mirror_computes_what_the_definition_does(op: str, dtype: str, rtol: float, atol: float) -> None:
    """On ordinary numbers with all options, shape and dtype are equal, and numbers agree up to rounding."""
    cases = list(ordinary(op, dtype, 40))
    for operands, options in cases:
        got, wanted = mirrored(op, operands, options), forward(OPS[op], operands, options)
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(got, wanted, rtol, atol)
    assert len(cases) > 30


# fmt: off
TRANSLATED: list[tuple[str, list[Any], Options, Any]] = [
    # op            operands                  options                           NumPy's result
    ("sum",         [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("prod",        [[1.0, 2.0]],             {"axis": (), "keepdims": True},   [1.0, 2.0]),
    ("max",         [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("min",         [[1.0, 2.0]],             {"axis": (), "keepdims": True},   [1.0, 2.0]),
    ("logsumexp",   [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("prod",        [[[1.0, 2.0], [3.0, 4.0]]], {"axis": (1, 0), "keepdims": True}, [[24.0]]),
    ("prod",        [np.zeros((2, 0))],       {"axis": None, "keepdims": False},  1.0),
    ("cumsum",      [[[1.0, 2.0], [3.0, 4.0]]], {"axis": None},                 [1.0, 3.0, 6.0, 10.0]),
    ("transpose",   [[[[1.0, 2.0]]]],         {"axes": None},                   [[[1.0]], [[2.0]]]),
    ("expand_dims", [[1.0, 2.0]],             {"axis": (0, -1)},                [[[1.0], [2.0]]]),
    ("flip",        [[[1.0, 2.0]]],           {"axis": None},                   [[2.0, 1.0]]),
    ("concatenate", [[[1.0]], [2.0, 3.0]],    {"axis": None},                   [1.0, 2.0, 3.0]),
    ("split",       [[1.0, 2.0, 3.0]],        {"indices_or_sections": (2, 5), "axis": 0, "piece": 1}, [3.0]),
    ("pad",         [[[1.0, 2.0]]],           {"pad_width": ((1, 0), (0, 2)), "mode": "constant", "constant_values": 9},
                                                                                [[9.0] * 4, [1.0, 2.0, 9.0, 9.0]]),
    ("pad",         [[1.0, 2.0, 3.0]],        {"pad_width": (3, 0), "mode": "reflect"}, [2.0, 3.0, 2.0, 1.0, 2.0, 3.0]),
    ("getitem",     [[1.0, 2.0, 3.0]],        {"index": (slice(None, None, -2),)}, [3.0, 1.0]),
    ("getitem",     [[1.0, 2.0, 3.0]],        {"index": (np.array([True, False, True]),)}, [1.0, 3.0]),
    ("scatter",     [[1.0, 2.0, 4.0]],        {"index": (np.array([0, 0, -2]),), "shape": (2,)}, [7.0, 0.0]),
    ("clip",        [[5.0, 5.0], 1.0, [3.0]], {},                               [3.0, 3.0]),
    ("clip",        [2.0, 3.0, 1.0],          {},                               1.0),
    ("dot",         [2.0, [1.0, 3.0]],        {},                               [2.0, 6.0]),
    ("outer",       [[[1.0, 2.0]], 3.0],      {},                               [[3.0], [6.0]]),
    ("softplus",    [-40.0],                  {},                               4.248354255291589e-18),
    ("softplus",    [40.0],                   {},                               40.0),
]
# fmt: on


@pytest.mark.parametrize(("op", "operands", "options", "wanted"), TRANSLATED, ids=[op for op, *_ in TRANSLATED])
def test_a_mirror_translates(op: str, operands: list[Any], options: Options, wanted: Any) -> None:
    """If PyTorch's meaning differs from NumPy's, the mirror has NumPy's meaning."""
    got = mirrored(op, [np.array(x, float) for x in operands], options)
    np.testing.assert_array_equal(got, np.array(wanted), strict=True)


@pytest.mark.parametrize("op", OPS)
def test_shapes_are_computed_without_numbers(op: str) -> None:
    """Tensors take no memory. Mirrors that look up places or labels need numbers, and raise."""
    for operands, options in ordinary(op, "float64", 20):
        shapes = [x.shape for x in operands]
        try:
            shape = shape_of(OPS[op], shapes, options)
        except (RuntimeError, NotImplementedError):
            assert op in ("getitem", "scatter", "split", "pad", "where", "label_cross_entropy")
            continue
        assert shape == forward(OPS[op], operands, options).shape


# Refusals.

SMALL: list[Shape] = [(0,), (1,), (3,), (1, 3), (2, 3), (2, 0), (2, 1, 3)]
# The ops of one operand with options that do not depend on its numbers.
OPTIONS = [
    op.name
    for op in OPS.values()
    if op.inputs.options and op.inputs.slots == 1 and all(option.every for option in op.inputs.options.values())
]


def every(op: str) -> list[Options]:
    """Return all combinations of the listed values of an op's options, allowed or not."""
    kinds = {name: option.every for name, option in OPS[op].inputs.options.items()}
    return [dict(zip(kinds, chosen, strict=True)) for chosen in itertools.product(*kinds.values())]


def answer(op: str, shape: Shape, options: Options) -> tuple[Any, Any, Any]:
    """Return the results of NumPy, PyTorch's mirror and ndgrad: each an array or an error."""
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    program = Program((Operand("x", x),), (Step(op, (0,), options),), None)
    outcomes = [engine.run(program) for engine in (TORCH, NDGRAD)]
    plain: Any
    try:
        with np.errstate(all="ignore"):
            plain = np.asarray(OPS[op].definition(x, **options))
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        plain = error
    mirror, ours = (o.error or o.values[-1] for o in outcomes)
    return plain, mirror, ours


def differences(op: str, shape: Shape) -> Iterator[str]:
    """Give the cases in which a side and NumPy differ in refusal or shape, or a side's error is unclear."""
    for options in every(op):
        plain, *sides = answer(op, shape, options)
        for name, side in zip(("the mirror", "ndgrad"), sides, strict=True):
            if isinstance(plain, Exception) != isinstance(side, Exception):
                yield f"{name} of {op} {shape} {options}: {side!r}, but NumPy: {plain!r}"
            elif isinstance(side, np.ndarray) and side.shape != plain.shape:
                yield f"{name} of {op} {shape} {options} has shape {side.shape}, but NumPy's {plain.shape}"
            elif isinstance(side, Exception) and not isinstance(
                side, (ValueError, IndexError, TypeError, RuntimeError)
            ):
                yield f"{name} of {op} {shape} {options} is refused by {side!r}, which does not tell what is wrong"


@pytest.mark.parametrize("op", OPTIONS)
def test_both_sides_refuse_what_numpy_refuses_and_nothing_else(op: str) -> None:
    """All values of the options are tried on small shapes: bad axes, repeated axes, wrong shapes and others."""
    assert not [line for shape in SMALL for line in differences(op, shape)]


@pytest.mark.parametrize("op", OPTIONS)
def test_both_sides_refuse_the_same_of_a_single_number(op: str) -> None:
    """An operand without axes accepts no axis, except 0 and -1 where NumPy accepts them."""
    assert not list(differences(op, ()))


def test_the_options_of_most_ops_are_tried() -> None:
    """Some 700 combinations of options are tried, on each of eight shapes."""
    assert len(OPTIONS) > 20
    assert sum(len(every(op)) for op in OPTIONS) > 600
