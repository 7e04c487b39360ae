"""Rules of ops on shapes, which move numbers without changing them: reshape, transpose, join, split, pad.

`order` is always C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ndgrad.rules.indexing import scatter
from ndgrad.rules.plain import check_plain
from ndgrad.rules.reductions import _axis
from ndgrad.rules.rule import Call, Rule, whole

_GATHERING = ("edge", "reflect", "symmetric", "wrap")  # padding modes that repeat numbers of the operand


def _ints(name: str, numbers: Any) -> tuple[int, ...]:
    """Return the integers of a shape or of axes, given one by one or as one sequence."""
    if len(numbers) == 1 and np.iterable(numbers[0]):
        numbers = numbers[0]
    return tuple(whole(name, n) for n in numbers)


def _bind_shape(x: Any, *numbers: Any, shape: Any = None) -> Call:
    """Bind a shape: `reshape(x, 2, 3)`, `reshape(x, (2, 3))` and `reshape(x, shape=(2, 3))` are equivalent."""
    return (x,), {"shape": _ints("shape", numbers if shape is None else (shape,))}


def _bind_axes(x: Any, *numbers: Any, axes: Any = None) -> Call:
    given = numbers if axes is None else (axes,)
    return (x,), {"axes": None if given in ((), (None,)) else _ints("axes", given)}


def _inverse(axes: tuple[int, ...] | None) -> list[int] | None:
    """Return the inverse of the permutation `axes`, whose entries may be negative."""
    return None if axes is None else [int(i) for i in np.argsort([a % len(axes) for a in axes])]


def _bind_axis(x: Any, axis: Any = None) -> Call:
    return (x,), {"axis": _axis(axis)}


def _bind_arrays(arrays: Sequence[Any], axis: Any = 0) -> Call:
    if not len(arrays):
        raise ValueError("need at least one array to join, but got none")
    return tuple(arrays), {"axis": _axis(axis)}


def _index_along(axis: int, ndim: int, cut: Any) -> tuple[Any, ...]:
    """Return the index that applies `cut` to one axis, and takes all of the axes before it."""
    return (slice(None),) * (axis % ndim) + (cut,)


def _concatenate_pullback(g: Any, _y: Any, *_xs: Any, axis: int | None, position: int) -> Any:
    lengths = [x.size if axis is None else x.shape[axis] for x in _xs]
    start = sum(lengths[:position])
    return g[_index_along(axis or 0, g.ndim, slice(start, start + lengths[position]))].reshape(_xs[position].shape)


def _bind_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Call]:
    """Bind a call for each piece. As for NumPy's `split`, an integer is a number of equal sections."""
    shape, axis = np.shape(x), whole("axis", axis)
    if not -len(shape) <= axis < len(shape):
        raise np.exceptions.AxisError(axis, len(shape))
    length = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections < 1 or length % sections:
            raise ValueError(f"axis {axis} has length {length}, which does not split into {sections} equal sections")
        cuts = list(range(length // sections, length, length // sections)) if length else [0] * (sections - 1)
    else:
        cuts = [whole("indices_or_sections", i) for i in indices_or_sections]
    ends = zip([0, *cuts], [*cuts, length], strict=True)
    return [((x,), {"start": start, "stop": stop, "axis": axis}) for start, stop in ends]


def _piece_index(ndim: int, start: int, stop: int, axis: int) -> tuple[Any, ...]:
    return _index_along(axis, ndim, slice(start, stop))


def _bind_pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Call:
    """Bind NumPy's signature, with `pad_width` as one pair (before, after) for each axis."""
    if mode not in ("constant", *_GATHERING):
        raise ValueError(f"mode is {mode!r}, but ndgrad pads by 'constant', {', '.join(map(repr, _GATHERING))}")
    given = np.asarray(pad_width)
    if given.dtype.kind not in "iu" or (given.size and given.min() < 0):
        raise ValueError(f"pad_width must be whole numbers from 0 on, but is {pad_width!r}")
    widths = tuple((int(a), int(b)) for a, b in np.broadcast_to(given, (np.ndim(x), 2)))
    options: dict[str, Any] = {"pad_width": widths, "mode": mode}
    if mode == "constant":
        check_plain(constant_values, "constant_values")
        options["constant_values"] = constant_values
    return (x,), options


def _pad_pullback(g: Any, _y: Any, _x: Any, *, pad_width: tuple[tuple[int, int], ...], mode: str, **_: Any) -> Any:
    """Cut the padding off. If it repeats numbers of the operand, add its cotangents to theirs."""
    if mode == "constant":
        return g[tuple(slice(a, a + n) for (a, _), n in zip(pad_width, _x.shape, strict=True))]
    sources = [np.pad(np.arange(n), w, mode=mode) for w, n in zip(pad_width, _x.shape, strict=True)]  # type: ignore[call-overload]
    return scatter(g, np.ix_(*sources), _x.shape)


# fmt: off
#              forward                                     pullback: (g, y, x, **options)
reshape      = Rule(lambda x, *, shape: np.reshape(x, shape),
                    lambda g, _y, _x, *, shape: g.reshape(_x.shape),
                    bind=_bind_shape,   numpy=(np.reshape,), views=True)
transpose    = Rule(lambda x, *, axes: np.transpose(x, axes),
                    lambda g, _y, _x, *, axes: np.transpose(g, _inverse(axes)),
                    bind=_bind_axes,    numpy=(np.transpose, np.permute_dims), views=True)
swapaxes     = Rule(lambda x, *, axis1, axis2: np.swapaxes(x, axis1, axis2),
                    lambda g, _y, _x, *, axis1, axis2: np.swapaxes(g, axis1, axis2),
                    bind=lambda x, axis1, axis2: ((x,), {"axis1": whole("axis1", axis1), "axis2": whole("axis2", axis2)}),
                    numpy=(np.swapaxes,), views=True)
expand_dims  = Rule(lambda x, *, axis: np.expand_dims(x, axis),
                    lambda g, _y, _x, *, axis: g.reshape(_x.shape),
                    bind=lambda x, axis: ((x,), {"axis": _axis(axis)}),
                    numpy=(np.expand_dims,), views=True)
squeeze      = Rule(lambda x, *, axis: np.squeeze(x, axis),
                    lambda g, _y, _x, *, axis: g.reshape(_x.shape),
                    bind=_bind_axis,    numpy=(np.squeeze,), views=True)
broadcast_to = Rule(lambda x, *, shape: np.broadcast_to(x, shape),
                    lambda g, _y, _x, *, shape: g,
                    bind=_bind_shape,   numpy=(np.broadcast_to,), views=True)
flip         = Rule(lambda x, *, axis: np.flip(x, axis),
                    lambda g, _y, _x, *, axis: np.flip(g, axis),
                    bind=_bind_axis,    numpy=(np.flip,), views=True)
concatenate  = Rule(lambda *xs, axis: np.concatenate(xs, axis=axis),
                    _concatenate_pullback,
                    bind=_bind_arrays,  numpy=(np.concatenate,), variadic=True, method=False)
stack        = Rule(lambda *xs, axis: np.stack(xs, axis=axis),
                    lambda g, _y, *_xs, axis, position: g[_index_along(axis, g.ndim, position)],
                    bind=_bind_arrays,  numpy=(np.stack,), variadic=True, method=False)
split        = Rule(lambda x, *, start, stop, axis: x[_piece_index(x.ndim, start, stop, axis)],
                    lambda g, _y, _x, *, start, stop, axis: scatter(g, _piece_index(_x.ndim, start, stop, axis), _x.shape),
                    bind=_bind_split,   numpy=(np.split,), views=True)
pad          = Rule(lambda x, *, pad_width, mode, **values: np.pad(x, pad_width, mode, **values) if x.ndim else x,
                    _pad_pullback,
                    bind=_bind_pad,     numpy=(np.pad,), views=True)
# fmt: on
