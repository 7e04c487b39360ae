"""Rules that work number by number: at special points beside PyTorch, in every broadcasting, without needless warnings."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes
from torch.nn import functional as F  # noqa: N812 - as PyTorch's own manual has it

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules import RULES

Beside: TypeAlias = Callable[..., None]

# Zeros of both signs, the kinks and bounds, numbers that saturate, and those that are none.
POINTS = np.array([
    -np.inf, -1000.0, -40.0, -2.0, -1.0, -0.5, -1e-12, -0.0, 0.0, 1e-300, 1e-12, 0.25, 1.0, 2.0, 3.0, 19.5, 1000.0,
    np.inf, np.nan,
])  # fmt: skip
PAIRS = tuple(a.ravel() for a in np.meshgrid(POINTS, POINTS))

# fmt: off
UNARY: list[tuple[str, Callable[..., Any]]] = [
    ("abs",      torch.abs),
    ("cos",      torch.cos),
    ("exp",      torch.exp),
    ("expm1",    torch.expm1),
    ("log",      torch.log),
    ("log1p",    torch.log1p),
    ("negative", torch.negative),
    ("positive", torch.positive),
    ("relu",     torch.relu),
    ("sigmoid",  torch.sigmoid),
    ("sin",      torch.sin),
    ("softplus", F.softplus),
    ("sqrt",     torch.sqrt),
    ("square",   torch.square),
    ("tan",      torch.tan),
    ("tanh",     torch.tanh),
]
BINARY: list[tuple[str, Callable[..., Any]]] = [
    ("add",      torch.add),
    ("divide",   torch.div),
    ("maximum",  torch.maximum),
    ("minimum",  torch.minimum),
    ("multiply", torch.mul),
    ("power",    torch.pow),
    ("subtract", torch.sub),
]
# fmt: on


# Special points.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "theirs"), UNARY)
def test_special_points_of_one_operand(beside: Beside, name: str, theirs: Callable[..., Any], dtype: type) -> None:
    """At zeros, kinks, poles, infinities and NaN, and where they saturate, values and slopes are PyTorch's."""
    beside(RULES[name], theirs, POINTS.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "theirs"), BINARY)
def test_special_points_of_two_operands(beside: Beside, name: str, theirs: Callable[..., Any], dtype: type) -> None:
    """So they are for every pair of special points, ties among them."""
    beside(RULES[name], theirs, *(a.astype(dtype) for a in PAIRS))
