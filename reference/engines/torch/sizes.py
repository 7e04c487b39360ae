"""How large a program becomes, worked out before anything of it is run.

A short line may ask for more numbers than there is memory for: `broadcast_to`, `outer`, `pad`, an index ...
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

# The exact witness takes 0.2 to 0.3 ms for a number (softplus at 20.5, 1,000 to 100,000 times): 20 to 30 s for so many.
LARGEST = 100_000


class TooLarge(ValueError):  # noqa: N818 - it says what the program is
    """A program with a step that has too many numbers: which, its shape, and how many there may be."""


def check_sizes(program: Program) -> None:
    """Refuse a program with a step of more than `LARGEST` numbers. Nothing is computed, and no memory taken.

    Raises:
        TooLarge: there is such a step.
    """
    shapes = [operand.data.shape for operand in program.operands]
    names = program.names[len(shapes) :]
    for name, step in zip(names, program.steps, strict=True):
        try:
            shape = _shape(step, [shapes[i] for i in step.inputs])
        except Exception:  # noqa: BLE001 - the step is refused, in whatever way: there the program ends, and so does its run
            return
        if math.prod(shape) > LARGEST:
            raise TooLarge(
                f"step {name}={step.op}(...) has shape {shape}, which is {math.prod(shape):,} numbers, "
                f"but a step may have at most {LARGEST:,}, which take the exact witness half a minute"
            )
        shapes.append(shape)


def _shape(step: Step, shapes: list[Shape]) -> Shape:
    """The shape of a step's result. One that is too large may have its axes in another order."""
    if step.op in _SHAPES:
        return _SHAPES[step.op](shapes, step.options)
    return shape_of(OPS[step.op], shapes, dict(step.options))


# The ops whose mirrors look up places or labels, and so need numbers: NumPy's indexing of one number stands in, which
# is repeated without memory.


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


def _scattered(shapes: list[Shape], options: Mapping[str, Any]) -> Shape:  # noqa: ARG001 - it is told its shape
    placed = _indexed(options["shape"], options["index"])
    return placed if math.prod(placed) > LARGEST else tuple(options["shape"])


def _indexed(shape: Shape, index: Any) -> Shape:
    """The shape of `x[index]`. What an index of arrays gives is a copy, so it is measured first."""
    measured = _measured(shape, index if isinstance(index, tuple) else (index,))
    return measured if math.prod(measured) > LARGEST else _like(shape)[index].shape


def _measured(shape: Shape, entries: tuple[Any, ...]) -> Shape:
    """The shape that the arrays of an index have together, and that of what they leave: as many numbers, or more.

    Each array stands for a single place on its axes here, so that nothing is copied.
    """
    arrays = [np.asarray(entry) for entry in entries if _is_array(entry)]
    met = np.broadcast_shapes(*((int(a.sum()),) if a.dtype == bool else a.shape for a in arrays))
    places = tuple(place for entry in entries for place in _places(entry))
    return (*met, *_like(tuple(max(n, 1) for n in shape) if arrays else shape)[places].shape)


def _places(entry: Any) -> tuple[Any, ...]:
    """What stands for an entry of an index: for an array the first place on each axis that it is for."""
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
    "label_cross_entropy": lambda shapes, options: shapes[0][:-1],  # noqa: ARG005 - a number for each row
}
