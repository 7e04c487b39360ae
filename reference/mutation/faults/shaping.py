"""Faults of the ops that rearrange numbers: wrong axes, orders and places.

The table knows how those rules are written. It does not know which programs show a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ndgrad.rules.indexing import scatter
from ndgrad.rules.shaping import _index_along
from reference.mutation.planting import Change, Fault, around, forward, plain, pullback

Pullback: TypeAlias = Callable[..., Any]

# Reshaping, and the order of axes.


def _zero_unless_c_order(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    """Write into a flat view of zeros like the operand, which is a copy unless the operand is in C order."""
    del y, shape
    return g.reshape(x.shape) * float(plain(x).flags.c_contiguous)


def _swapped_last(g: Any, y: Any, x: Any, *, axis1: int, axis2: int) -> Any:
    del y, x
    return g if axis1 == axis2 else np.swapaxes(g, -1, -2)


def _signless(g: Any, y: Any, x: Any, *, axis1: int, axis2: int) -> Any:
    del y
    return np.swapaxes(g, abs(axis1) % x.ndim, abs(axis2) % x.ndim)


# Axes of length 1, and broadcasting.


def _one_too_low(x: Any, *, axis: Any) -> Any:
    """Add the rank of the operand, not of the result, to a negative axis."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    return np.expand_dims(x, tuple(a + x.ndim + len(axes) - 1 if a < 0 else a for a in axes))


def _among_the_operands(x: Any, *, axis: Any) -> Any:
    """Insert several axes at places counted in the operand's shape."""
    several = len(axis) if isinstance(axis, tuple) else 1
    lengths = list(x.shape)
    for a in sorted(normalize_axis_tuple(axis, x.ndim + several), reverse=True):
        lengths.insert(a, 1)
    return x.reshape(lengths)


def _in_listed_order(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
    """Restore the removed axes one by one, in the order in which they were listed."""
    del y
    if not isinstance(axis, tuple):
        return g.reshape(x.shape)
    lengths = list(g.shape)
    for a in axis:
        lengths.insert(a % x.ndim, 1)
    return g.reshape(lengths)


def _first_copy(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    del y, shape
    lengths = (1,) * (g.ndim - x.ndim) + x.shape
    return g[tuple(slice(1) if n == 1 else slice(None) for n in lengths)].reshape(x.shape)


def _other_blocks(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    """Sum as if each number had been repeated in place, not the whole array."""
    del y, shape
    return g.reshape((*x.shape, g.size // max(x.size, 1))).sum(-1)


def _stretched_averaged(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    """Average over stretched axes of length 1, but sum over new axes in front."""
    del y, shape
    stretched = [n for n, m in zip(g.shape[g.ndim - x.ndim :], x.shape, strict=True) if m == 1]
    return g / max(int(np.prod(stretched)), 1)


def _flipped(axis: Callable[[Any, int], Any]) -> Pullback:
    """Flip back along `axis(axis, rank)`."""
    return lambda g, y, x, **options: np.flip(g, axis(options["axis"], x.ndim))


def _signless_axes(axis: Any, rank: int) -> Any:
    return axis if axis is None else tuple(abs(a) % rank for a in (axis if isinstance(axis, tuple) else (axis,)))


# Joining, cutting, padding.


def _by_operands_rank(g: Any, y: Any, *xs: Any, axis: int, position: int) -> Any:
    """Count a negative axis from the end of the operand, which has one axis less than the result."""
    del y
    return g[_index_along(axis if axis >= 0 else axis % max(xs[0].ndim, 1), g.ndim, position)]


def _cut(start: Callable[[list[int], int, Any], int], axis: Callable[[Any, Any], int]) -> Pullback:
    """Make a pullback of concatenate that cuts a piece at `start(lengths, position, axis)`, along `axis(axis, g)`."""

    def wrong(g: Any, y: Any, *xs: Any, position: int, **options: Any) -> Any:
        del y
        along = options["axis"]
        lengths = [x.size if along is None else x.shape[along] for x in xs]
        first = start(lengths, position, along)
        piece = g[_index_along(axis(along, g), g.ndim, slice(first, first + lengths[position]))]
        return piece.reshape(xs[position].shape)

    return wrong


def _begun_at(start: Callable[[list[int], int, Any], int]) -> Pullback:
    """Make such a pullback with the right axis."""
    return _cut(start, lambda axis, g: axis or 0)


def _before(lengths: list[int], position: int, axis: Any) -> int:
    """Return the start of a piece: the sum of the lengths before it."""
    del axis
    return sum(lengths[:position])


def _padded_as(changed: Callable[..., dict[str, Any]]) -> Change:
    """Make a pullback of pad with other options, `changed(mode, pad_width)`."""
    return lambda right: (
        lambda g, y, x, *, mode, pad_width, **options: right(
            g, y, x, **{"mode": mode, "pad_width": pad_width, **options, **changed(mode, pad_width)}
        )
    )


def _wrapped_from_the_first(right: Pullback) -> Pullback:
    def wrong(g: Any, y: Any, x: Any, *, mode: str, pad_width: Any, **options: Any) -> Any:
        if mode != "wrap":
            return right(g, y, x, mode=mode, pad_width=pad_width, **options)
        sources = [np.arange(n + sum(w)) % n for w, n in zip(pad_width, x.shape, strict=True)]
        return scatter(g, np.ix_(*sources), x.shape)

    return wrong


def _cut_off_from_behind(right: Pullback) -> Pullback:
    def wrong(g: Any, y: Any, x: Any, *, mode: str, pad_width: Any, **options: Any) -> Any:
        if mode != "constant":
            return right(g, y, x, mode=mode, pad_width=pad_width, **options)
        return g[tuple(slice(before, -behind) for before, behind in pad_width)]

    return wrong


def _widths_exchanged(mode: str, pad_width: Any) -> dict[str, Any]:
    return {"pad_width": tuple((b, a) for a, b in pad_width)} if mode == "constant" else {}


def _latest(right: Pullback) -> Pullback:
    """Look up pieces by operand, so that an operand that is joined twice gets its last piece twice."""

    def wrong(g: Any, y: Any, *xs: Any, axis: Any, position: int) -> Any:
        latest = max(i for i, x in enumerate(xs) if x is xs[position])
        return right(g, y, *xs, axis=axis, position=latest)

    return wrong


def _padded_to_length(g: Any, y: Any, x: Any, *, start: int, stop: int, axis: int) -> Any:
    """Pad the piece with zeros, by formulas that ignore cuts beyond the end."""
    del y
    widths = [(0, 0)] * x.ndim
    widths[axis] = (start, max(x.shape[axis] - stop, 0))
    return np.pad(g, widths)


def _from_the_other_end(right: Pullback) -> Pullback:
    """Count cuts along a negative axis from the end."""

    def wrong(g: Any, y: Any, x: Any, *, start: int, stop: int, axis: int) -> Any:
        n = x.shape[axis]
        start, stop = (start, stop) if axis >= 0 else (n - min(stop, n), n - min(start, n))
        return right(g, y, x, start=start, stop=stop, axis=axis)

    return wrong


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                           source                           rows
    #     its plant
    Fault("b127-reshape",              "numbers are read in the order of memory",                                              "pytorch/pytorch#30303",         ("reshape",),
          forward("reshape", lambda x, *, shape: x.ravel("K").reshape(shape))),
    Fault("b127-reshape-copy",         "the gradient is lost if the operand is not in C order",                                "TorchProteinLibrary#21",        ("reshape",),
          pullback("reshape", 0, _zero_unless_c_order)),
    Fault("reshape-fortran",           "from three axes on, the gradient is laid out in Fortran order",                        "ours",                          ("reshape",),
          pullback("reshape", 0, lambda g, y, x, *, shape: g.T.reshape(x.shape[::-1]).T if x.ndim > 2 else g.reshape(x.shape))),

    Fault("b070-transpose",            "the permutation is applied again instead of its inverse",                              "ml-explore/mlx#3700",           ("transpose",),
          pullback("transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))),
    Fault("b125-transpose",            "the inverse is found by sorting negative axes as they are",                            "pytorch/pytorch#5945",          ("transpose",),
          pullback("transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes and [int(i) for i in np.argsort(axes)]))),
    Fault("transpose-last-two",        "if no axes are given, the pullback swaps the last two",                                "ours",                          ("transpose",),
          around("transpose", 0, lambda right: lambda g, y, x, *, axes:
              np.swapaxes(g, -1, -2) if axes is None and x.ndim > 1 else right(g, y, x, axes=axes))),
    Fault("transpose-four",            "from four axes on, the permutation is applied again",                                  "ours",                          ("transpose",),
          around("transpose", 0, lambda right: lambda g, y, x, *, axes: np.transpose(g, axes) if x.ndim > 3 else right(g, y, x, axes=axes))),

    Fault("swapaxes-last-two",         "the pullback swaps the last two axes, whichever were given",                           "ours",                          ("swapaxes",),
          pullback("swapaxes", 0, _swapped_last)),
    Fault("swapaxes-signless",         "the sign of a negative axis is dropped",                                               "ours",                          ("swapaxes",),
          pullback("swapaxes", 0, _signless)),
    Fault("swapaxes-moved",            "one axis is moved to the other's place: the same for neighbours",                      "ours",                          ("swapaxes",),
          forward("swapaxes", lambda x, *, axis1, axis2: np.moveaxis(x, axis1, axis2))),

    Fault("b042-expand-dims",          "a negative axis is off by one",                                                        "Theano/Theano@f815e11",         ("expand_dims",),
          forward("expand_dims", _one_too_low)),
    Fault("b129-expand-dims",          "the pullback removes all axes of length 1, even the operand's own",                    "folklore",                      ("expand_dims",),
          pullback("expand_dims", 0, lambda g, y, x, *, axis: np.squeeze(g))),
    Fault("expand-dims-operands-axes", "several new axes are counted in the operand's shape, not in the result's",             "ours",                          ("expand_dims",),
          forward("expand_dims", _among_the_operands)),
    Fault("expand-dims-transposed",    "if several axes were inserted, the gradient is transposed",                            "ours",                          ("expand_dims",),
          pullback("expand_dims", 0, lambda g, y, x, *, axis: (g.T if isinstance(axis, tuple) else g).reshape(x.shape))),

    Fault("b129-squeeze",              "if several axes were removed, only the first is restored",                             "folklore",                      ("squeeze",),
          pullback("squeeze", 0, lambda g, y, x, *, axis: np.expand_dims(g, axis or 0))),
    Fault("squeeze-all",               "naming one axis removes all axes of length 1",                                         "ours",                          ("squeeze",),
          forward("squeeze", lambda x, *, axis: np.squeeze(x, axis) if isinstance(axis, tuple) else np.squeeze(x, axis).squeeze())),
    Fault("squeeze-number",            "an array of a single number keeps one axis",                                           "ours",                          ("squeeze",),
          forward("squeeze", lambda x, *, axis: np.atleast_1d(np.squeeze(x, axis)))),
    Fault("squeeze-named-order",       "axes are restored in the order in which they were listed",                             "ours",                          ("squeeze",),
          pullback("squeeze", 0, _in_listed_order)),

    Fault("b009-broadcast-to",         "the gradient is the cotangent of the first copy",                                      "HIPS/autograd#384",             ("broadcast_to",),
          pullback("broadcast_to", 0, _first_copy)),
    Fault("b009-broadcast-to-mean",    "the gradient is averaged over the copies",                                             "HIPS/autograd#384",             ("broadcast_to",),
          pullback("broadcast_to", 0, lambda g, y, x, *, shape: g * (x.size / max(g.size, 1)))),
    Fault("b136-broadcast-to",         "the wrong blocks are summed, as if each number had been repeated in place",            "tracel-ai/burn#2777",           ("broadcast_to",),
          pullback("broadcast_to", 0, _other_blocks)),
    Fault("broadcast-to-stretched",    "new axes in front are summed, but stretched axes are averaged",                        "ours",                          ("broadcast_to",),
          pullback("broadcast_to", 0, _stretched_averaged)),

    Fault("flip-first-named",          "of several axes, only the first one listed is flipped back",                           "ours",                          ("flip",),
          pullback("flip", 0, _flipped(lambda axis, rank: axis[:1] if isinstance(axis, tuple) else axis))),
    Fault("flip-falsy",                "`axis or None`: axis 0 is flipped back along all axes",                                "folklore",                      ("flip",),
          pullback("flip", 0, _flipped(lambda axis, rank: axis or None))),
    Fault("flip-signless",             "the sign of a negative axis is dropped",                                               "ours",                          ("flip",),
          pullback("flip", 0, _flipped(_signless_axes))),

    Fault("b130-concatenate",          "a piece is sought at its number, not at its start: right for pieces of length 1",      "tracel-ai/burn#402",            ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis: position))),
    Fault("b133-concatenate",          "from three axes on, pieces are cut from the first axis",                               "improbable-research/keanu#279", ("concatenate",),
          pullback("concatenate", 0, _cut(_before, lambda axis, g: 0 if g.ndim > 2 else axis or 0))),
    Fault("b134-concatenate",          "an operand that is joined twice gets the cotangent of its last piece twice",           "Theano/Theano#2747",            ("concatenate",),
          around("concatenate", 0, _latest)),
    Fault("concatenate-third",         "the third piece is sought as if the first had length 0",                               "ours",                          ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis: sum(lengths[:position][-1:])))),
    Fault("concatenate-flat-equal",    "axis=None: all pieces are assumed to be equally long",                                 "ours",                          ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis:
              position * lengths[position] if axis is None else _before(lengths, position, axis)))),

    Fault("b134-stack",                "an operand that is stacked twice gets its last cotangent twice",                       "Theano/Theano#2747",            ("stack",),
          around("stack", 0, _latest)),
    Fault("stack-operands-rank",       "a negative axis is counted from the end of the operand",                               "ours",                          ("stack",),
          pullback("stack", 0, _by_operands_rank)),
    Fault("stack-third",               "the third operand gets the cotangent of the second",                                   "ours",                          ("stack",),
          around("stack", 0, lambda right: lambda g, y, *xs, axis, position: right(
              g, y, *xs, axis=axis, position=min(position, 1)))),

    Fault("b114-split",                "a piece that begins beyond the end is padded with too many zeros",                     "jax-ml/jax#4599",               ("split",),
          pullback("split", 0, _padded_to_length)),
    Fault("split-other-end",           "along a negative axis the piece is restored at the other end",                         "ours",                          ("split",),
          around("split", 0, _from_the_other_end)),

    Fault("b136-pad",                  "mode wrap: copies are counted from the first padded number, not from the operand",     "tracel-ai/burn#2777",           ("pad",),
          around("pad", 0, _wrapped_from_the_first)),
    Fault("b137-pad",                  "padding is removed by -0 if there is none behind: nothing is left",                    "HIPS/autograd@7b61be3",         ("pad",),
          around("pad", 0, _cut_off_from_behind)),
    Fault("pad-reflect-symmetric",     "mode reflect: the pullback repeats the edge, as in mode symmetric",                    "ours",                          ("pad",),
          around("pad", 0, _padded_as(lambda mode, pad_width: {"mode": mode.replace("reflect", "symmetric")}))),
    Fault("pad-edge-cut-off",          "mode edge: the pullback drops the padding with its cotangents",                        "ours",                          ("pad",),
          around("pad", 0, _padded_as(lambda mode, pad_width: {"mode": mode.replace("edge", "constant")}))),
    Fault("pad-width-behind",          "the widths of the padding in front and behind are swapped",                            "ours",                          ("pad",),
          around("pad", 0, _padded_as(_widths_exchanged))),
    Fault("pad-whole-value",           "the padding value loses its fraction",                                                 "ours",                          ("pad",),
          forward("pad", lambda x, *, pad_width, mode, **values: np.pad(
              x, pad_width, mode, **{name: int(value) for name, value in values.items()}) if x.ndim else x)),
)
# fmt: on
