"""How numbers, options and ops are written in a session's lines, as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spelling:
    """An op of the catalogue, and the ways to write it.

    `{0}` and `{1}` stand for operands, `{operands}` for all of them, `{options}` for all options by name, and an
    option's name in braces for that one. An operand that a method is called on must be a Value.
    """

    op: str
    ways: tuple[str, ...]


# fmt: off
SPELLINGS = (
    #         op            any of these
    Spelling("multiply",     ("{0} * {1}", "{0} * {1}", "np.multiply({0}, {1})", "ndgrad.multiply({0}, {1})")),
    Spelling("add",          ("{0} + {1}", "{0} + {1}", "np.add({0}, {1})", "ndgrad.add({0}, {1})")),
    Spelling("subtract",     ("{0} - {1}", "{0} - {1}", "np.subtract({0}, {1})")),
    Spelling("sum",          ("{0}.sum({options})", "np.sum({0}, {options})", "ndgrad.sum({0}, {options})")),
    Spelling("mean",         ("{0}.mean({options})", "np.mean({0}, {options})")),
    Spelling("tanh",         ("{0}.tanh()", "np.tanh({0})", "ndgrad.tanh({0})")),
    Spelling("exp",          ("{0}.exp()", "np.exp({0})", "ndgrad.exp({0})")),
    Spelling("matmul",       ("{0} @ {1}", "{0} @ {1}", "np.matmul({0}, {1})")),
    Spelling("divide",       ("{0} / {1}", "np.divide({0}, {1})")),
    Spelling("power",        ("{0} ** {1}", "np.power({0}, {1})")),
    Spelling("negative",     ("-{0}", "np.negative({0})")),
    Spelling("square",       ("{0}.square()", "np.square({0})")),
    Spelling("sqrt",         ("{0}.sqrt()", "np.sqrt({0})")),
    Spelling("log",          ("{0}.log()", "np.log({0})")),
    Spelling("sin",          ("{0}.sin()", "np.sin({0})")),
    Spelling("sigmoid",      ("{0}.sigmoid()", "ndgrad.sigmoid({0})")),
    Spelling("relu",         ("{0}.relu()", "ndgrad.relu({0})")),
    Spelling("abs",          ("abs({0})", "np.abs({0})")),
    Spelling("maximum",      ("np.maximum({0}, {1})", "ndgrad.maximum({0}, {1})")),
    Spelling("where",        ("np.where({condition}, {0}, {1})", "ndgrad.where({condition}, {0}, {1})")),
    Spelling("max",          ("{0}.max({options})", "np.max({0}, {options})")),
    Spelling("softmax",      ("{0}.softmax({options})", "ndgrad.softmax({0}, {options})")),
    Spelling("label_cross_entropy", ("{0}.label_cross_entropy({labels})", "ndgrad.label_cross_entropy({0}, {labels})")),
    Spelling("reshape",      ("{0}.reshape({shape})", "np.reshape({0}, {shape})")),
    Spelling("transpose",    ("{0}.transpose({axes})", "np.transpose({0}, {axes})")),
    Spelling("broadcast_to", ("np.broadcast_to({0}, {shape})",)),
    Spelling("getitem",      ("{0}[{index}]",)),
    Spelling("concatenate",  ("np.concatenate([{operands}], {options})",)),
    Spelling("stack",        ("np.stack([{operands}], {options})", "ndgrad.stack([{operands}], axis={axis})")),
    Spelling("astype",       ("{0}.astype({dtype})", "np.astype({0}, {dtype})")),
)
# fmt: on


def literal(x: Any) -> str:
    """Write an array, a list or a number so that Python reads the same."""
    if not isinstance(x, np.ndarray):
        return repr(x)
    dtype = f", np.{x.dtype}" if x.dtype == np.float32 else ""
    return f"np.array({x.tolist()!r}{dtype})"


def written_index(entries: tuple[Any, ...], names: Mapping[int, str]) -> str:
    """Write an index as between brackets; arrays in it by their names."""
    written = [names.get(i) or (_cut(entry) if isinstance(entry, slice) else _plain(entry))
               for i, entry in enumerate(entries)]  # fmt: skip
    return ", ".join(written) or "()"


def _plain(entry: Any) -> str:
    return "..." if entry is Ellipsis else repr(entry)


def _cut(entry: slice) -> str:
    start, stop, step = ("" if end is None else str(end) for end in (entry.start, entry.stop, entry.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")
