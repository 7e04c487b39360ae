"""The boxes of a picture: a Value's label, data and gradient, with heat maps for large arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ndgrad.engine import Value
from ndgrad.graph.dot import html, label
from ndgrad.graph.heat import heat_map, spread

# Colours only repeat what corners, outlines and text show.
LEAF = {"shape": "record", "style": "filled", "fillcolor": "#dcebfa", "penwidth": "1.5"}
CONSTANT = {"shape": "record", "style": "filled,dashed", "fillcolor": "#f0f0f0"}
_RESULT = {"shape": "Mrecord"}  # rounded corners
_AS_TABLE = {"record": {"shape": "box"}, "Mrecord": {"shape": "box", "style": "rounded"}}  # where a box has a heat map


def _look(value: Value) -> Mapping[str, str]:
    if value._op:  # noqa: SLF001 - a graph is read by it
        return _RESULT
    return LEAF if value.requires_grad else CONSTANT


def box(value: Value, note: str, rankdir: str) -> Mapping[str, str]:
    """Return the attributes of a box: a record, or a table if it has heat maps."""
    look = _look(value)
    if _are_few(value.data):
        return {"label": _record(value, note, rankdir), **look}
    return {"label": f"<{_table(value, note)}>", **look, **_AS_TABLE[look["shape"]]}


def _record(value: Value, note: str, rankdir: str) -> str:
    """Return the cells of a box, one below the other. The label and the note are left out if they are empty.

    Graphviz rotates records with the graph, and braces rotate them back.
    """
    fields = [
        label(value.label) if value.label else "",
        f"data {_numbers(value.data)}",
        _gradient_cell(value),
        label(note),
    ]
    cells = " | ".join(filter(None, fields))
    return cells if rankdir in ("LR", "RL") else f"{{ {cells} }}"


def _table(value: Value, note: str) -> str:
    """Return the same cells as a table, with a heat map below the numbers of data and gradient."""
    gradient = _array(value.grad) if value.has_grad else None
    rows = [html(value.label)] if value.label else []
    rows += [
        _with_heat_map(f"data {_numbers(value.data)}", value.data),
        _with_heat_map(_gradient_cell(value), gradient),
        html(note),
    ]
    cells = "<HR/>".join(f"<TR><TD>{row}</TD></TR>" for row in filter(None, rows))
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{cells}</TABLE>'


def _with_heat_map(text: str, array: np.ndarray | None) -> str:
    """Return a text about an array, and below it the range and the heat map of the array, if there is one."""
    words = text.replace("\\n", "<BR/>")
    if array is None:
        return words
    return f"{words}<BR/>{spread(array)}</TD></TR><TR><TD>{heat_map(array)}"


def _are_few(array: np.ndarray) -> bool:
    """Return whether an array is shown without a heat map: it is small, or 0-d."""
    return array.size <= _FEW or not array.ndim


def _array(grad: Any) -> np.ndarray:
    """Return a gradient as an array: it is a Value after `backward(create_graph=True)`."""
    return np.asarray(grad.data if isinstance(grad, Value) else grad)


def _gradient_cell(value: Value) -> str:
    if value.has_grad:
        return f"grad {_numbers(_array(value.grad))}"
    return "grad –" if value.requires_grad else "constant"


_FEW = 8  # arrays of up to this many numbers are shown in full
_FIRST = 3  # of larger arrays, this many numbers are shown


def _numbers(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(array[()])
    if array.ndim in (1, 2) and 0 < array.size <= _FEW:
        text = np.array2string(array, separator=", ", formatter={"all": _short})
    else:
        more = ["…"] if array.size > _FIRST else []
        text = f"{array.dtype} {array.shape}\n[{', '.join([*map(_short, array.flat[:_FIRST]), *more])}]"
    return text.replace("\n", "\\n")


def _number(x: Any) -> str:
    """Format a single number, with four decimals if these show its magnitude."""
    return f"{x:.4f}" if x == 0 or _SMALL <= abs(x) < _BIG else _short(x)


_SMALL, _BIG = 1e-3, 1e6
_short = "{:.4g}".format
