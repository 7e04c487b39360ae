"""Limit the size of a program's values, before any of it is run.

A short line may need more memory than there is: by `broadcast_to`, `outer`, `pad` or an index.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from reference.engines.torch.ops import shape_of
from reference.ops import OPS
from reference.programs import Program, Step

Shape: TypeAlias = tuple[int, ...]

# The exact witness takes 0.2 to 0.3 ms per number (measured: softplus at 20.5, 1,000 to 100,000 times): 20 to 30 s.
LARGEST = 100_000


class TooLarge(ValueError):  # noqa: N818 - the name describes the program
    """A program with a step that has too many numbers. The message gives the step, its shape and the limit."""


def check_sizes(program: Program) -> None:
    """Refuse a program with a step of more than `LARGEST` numbers, without computing or allocating them.

    Raises:
        TooLarge: a step has too many numbers.
    """
    shapes = [operand.data.shape for operand in program.operands]
    names = program.names[len(shapes) :]
    for name, step in zip(names, program.steps, strict=True):
        try:
            shape = _shape(step, [shapes[i] for i in step.inputs])
        except Exception:  # noqa: BLE001 - any error is a refusal, and a run ends there
            return
        if math.prod(shape) > LARGEST:
            raise TooLarge(
                f"step {name}={step.op}(...) has shape {shape}, which is {math.prod(shape):,} numbers, "
                f"but a step may have at most {LARGEST:,}, which take the exact witness half a minute"
            )
        shapes.append(shape)


def _shape(step: Step, shapes: list[Shape]) -> Shape:
    """Return the shape of a step's result. If it is too large, its axes may be in another order."""
    if step.op in _SHAPES:
        return _SHAPES[step.op](shapes, step.options)
    return shape_of(OPS[step.op], shapes, dict(step.options))


# Ops whose mirrors look up places or labels, and so need numbers. Here NumPy indexes one broadcast number, which takes
# no memory.


def _like(shape: Shape) -> np.ndarray:
    return np.broadcast_to(0.0, shape)


def _padded(shapes: list[Shape], options: Mapping[str, Any]) -> Shape:
    widths = np.broadcast_to(options["pad_width"], (len(shapes[0]), 2))
    return tuple(n + int(before) + int(after) for n, (before, after) in zip(shapes[0], widths, strict=True))


def _where(shapes: list[Shape], options: Mapping[str, Any]) -> Shape:
    return np.broadcast_shapes(*shapes, np.shape(options["condition"]))


def _split(shapes: list[Shape], options: Mapping[str, Any]) -> Shape:
    pieces = np.split(_like(shapes[0]), options["indices_or_sections"], axis=options.get("axis", 0))
    return tuple(pieces[options["piece"]].shape)


def _scattered(shapes: list[Shape], options: Mapping[str, Any]) -> Shape:  # noqa: ARG001 - the shape is an option
    placed = _indexed(options["shape"], options["index"])
    return placed if math.prod(placed) > LARGEST else tuple(options["shape"])


def _indexed(shape: Shape, index: Any) -> Shape:
    """Return the shape of `x[index]`. An index of arrays makes a copy, so its size is computed first."""
    measured = _measured(shape, index if isinstance(index, tuple) else (index,))
    return measured if math.prod(measured) > LARGEST else _like(shape)[index].shape


def _measured(shape: Shape, entries: tuple[Any, ...]) -> Shape:
    """Return the broadcast shape of an index's arrays, followed by the shape of the other axes: at least as large.

    Each array is replaced by a single place on its axes, so that nothing is copied.
    """
    arrays = [np.asarray(entry) for entry in entries if _is_array(entry)]
    broadcast = np.broadcast_shapes(*((int(a.sum()),) if a.dtype == bool else a.shape for a in arrays))
    places = tuple(place for entry in entries for place in _places(entry))
    return (*broadcast, *_like(tuple(max(n, 1) for n in shape) if arrays else shape)[places].shape)


def _places(entry: Any) -> tuple[Any, ...]:
    """Replace an entry of an index: an array by the first place on each of its axes."""
    if not _is_array(entry):
        return (entry,)
    array = np.asarray(entry)
    return (0,) * (array.ndim if array.dtype == bool else 1)


def _is_array(entry: Any) -> bool:
    return isinstance(entry, (np.ndarray, list))


_SHAPES: dict[str, Callable[[list[Shape], Mapping[str, Any]], Shape]] = {
    "getitem": lambda shapes, options: _indexed(shapes[0], options["index"]),
    "scatter": _scattered,
    "split": _split,
    "pad": _padded,
    "where": _where,
    "label_cross_entropy": lambda shapes, options: shapes[0][:-1],  # noqa: ARG005 - one number per row
}
