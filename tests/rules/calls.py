"""An example call for each rule, as users write it, with operands and options drawn by the op's row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.rules import RULES
from reference.ops import OPS
from reference.ops.options import Options
from reference.ops.source import Seeded, Unsuited, pick

SHAPE = (2, 3)  # of one operand

Call = tuple[tuple[Any, ...], dict[str, Any]]


def example_operands(op: str) -> tuple[list[np.ndarray], Options]:
    """Return the first drawn operands and options of an op with several numbers, no two alike, that keep the dtype."""
    row = OPS[op]
    for i in range(1_000):
        source = Seeded("calls", op, i)
        try:
            shapes, options = row.inputs.draw(source, SHAPE, 0)
        except Unsuited:
            continue
        if len(shapes) < row.inputs.slots or any(np.prod(shape) < 2 for shape in shapes):
            continue
        operands = [_unlike(source, row.domain(j).numbers, shape) for j, shape in enumerate(shapes)]
        if np.size(row.definition(*operands, **options)) > 1:
            return operands, options
    raise AssertionError(f"nothing was drawn for {op}")


def _unlike(source: Seeded, some: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return whether no number is 0, and most numbers are different."""
    others = [x for x in some if x]
    return np.array([pick(source, others) for _ in range(int(np.prod(shape)))]).reshape(shape)


def call(name: str) -> Call:
    """Return the arguments of an example call of a rule: operands by position, options by keyword."""
    operands, options = example_operands(name)
    options = {n: float(x) if isinstance(x, np.floating) else x for n, x in options.items()}
    if RULES[name].variadic:
        return (operands,), options
    if name == "where":  # the condition comes first, as in NumPy
        return (options.pop("condition"), *operands), options
    options.pop("piece", None)  # a rule with several results
    if name in ("astype", "getitem"):  # NumPy's parameter has another name
        return (*operands, *options.values()), {}
    return tuple(operands), options


CALLS: dict[str, Call] = {name: call(name) for name in RULES}
