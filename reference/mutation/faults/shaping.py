"""Faults of the ops that move numbers and change none: wrong axes, wrong orders, wrong places, indices that meet twice.

It knows how those rules are written. Which programs show a fault, it does not know.
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


def _lost_in_a_copy(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    """What is written into a flat view of zeros like the operand goes into a copy, unless it lies in C order."""
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
    """A negative axis to which the rank is added, and not one more for each axis that comes in."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    return np.expand_dims(x, tuple(a + x.ndim + len(axes) - 1 if a < 0 else a for a in axes))


def _among_the_operands(x: Any, *, axis: Any) -> Any:
    """Several axes come in where the operand's own axes of those numbers stand."""
    several = len(axis) if isinstance(axis, tuple) else 1
    lengths = list(x.shape)
    for a in sorted(normalize_axis_tuple(axis, x.ndim + several), reverse=True):
        lengths.insert(a, 1)
    return x.reshape(lengths)


def _in_named_order(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
    """Lost axes come back one by one, in the order in which they were named."""
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
    """As if each number had been repeated beside itself, and not the whole behind itself."""
    del y, shape
    return g.reshape((*x.shape, g.size // max(x.size, 1))).sum(-1)


def _stretched_averaged(g: Any, y: Any, x: Any, *, shape: Any) -> Any:
    """What axes of length 1 were stretched to is averaged; axes that came in front are summed."""
    del y, shape
    stretched = [n for n, m in zip(g.shape[g.ndim - x.ndim :], x.shape, strict=True) if m == 1]
    return g / max(int(np.prod(stretched)), 1)


def _flipped(axis: Callable[[Any, int], Any]) -> Pullback:
    """A flip back along `axis(axis, rank)`."""
    return lambda g, y, x, **options: np.flip(g, axis(options["axis"], x.ndim))


def _signless_axes(axis: Any, rank: int) -> Any:
    return axis if axis is None else tuple(abs(a) % rank for a in (axis if isinstance(axis, tuple) else (axis,)))


# Joining, cutting, padding.


def _by_operands_rank(g: Any, y: Any, *xs: Any, axis: int, position: int) -> Any:
    """A negative axis is counted from the end of the operand, which has one fewer than the result."""
    del y
    return g[_index_along(axis if axis >= 0 else axis % max(xs[0].ndim, 1), g.ndim, position)]


def _cut(start: Callable[[list[int], int, Any], int], axis: Callable[[Any, Any], int]) -> Pullback:
    """A concatenation's pullback that cuts a piece from `start(lengths, position, axis)` on, along `axis(axis, g)`."""

    def wrong(g: Any, y: Any, *xs: Any, position: int, **options: Any) -> Any:
        del y
        along = options["axis"]
        lengths = [x.size if along is None else x.shape[along] for x in xs]
        first = start(lengths, position, along)
        piece = g[_index_along(axis(along, g), g.ndim, slice(first, first + lengths[position]))]
        return piece.reshape(xs[position].shape)

    return wrong


def _begun_at(start: Callable[[list[int], int, Any], int]) -> Pullback:
    """The same along the right axis."""
    return _cut(start, lambda axis, g: axis or 0)


def _before(lengths: list[int], position: int, axis: Any) -> int:
    """Where a piece starts: the lengths of all before it."""
    del axis
    return sum(lengths[:position])


def _padded_as(changed: Callable[..., dict[str, Any]]) -> Change:
    """A padding's pullback that takes it for another, `changed(mode, pad_width)`."""
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
    """Pieces are looked up by operand, and of an operand that is joined twice the latest is found twice."""

    def wrong(g: Any, y: Any, *xs: Any, axis: Any, position: int) -> Any:
        latest = max(i for i, x in enumerate(xs) if x is xs[position])
        return right(g, y, *xs, axis=axis, position=latest)

    return wrong


def _padded_to_length(g: Any, y: Any, x: Any, *, start: int, stop: int, axis: int) -> Any:
    """Zeros before the piece and after it, as many as formulas say that know no cut beyond the end."""
    del y
    widths = [(0, 0)] * x.ndim
    widths[axis] = (start, max(x.shape[axis] - stop, 0))
    return np.pad(g, widths)


def _from_the_other_end(right: Pullback) -> Pullback:
    """Along a negative axis, cuts are counted from the end."""

    def wrong(g: Any, y: Any, x: Any, *, start: int, stop: int, axis: int) -> Any:
        n = x.shape[axis]
        start, stop = (start, stop) if axis >= 0 else (n - min(stop, n), n - min(start, n))
        return right(g, y, x, start=start, stop=stop, axis=axis)

    return wrong


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                           source                           rows
    #     how it is planted
    Fault("b127-reshape",              "numbers are read in the order in which they lie in memory",                            "pytorch/pytorch#30303",         ("reshape",),
          forward("reshape", lambda x, *, shape: x.ravel("K").reshape(shape))),
    Fault("b127-reshape-copy",         "the gradient is lost where the operand does not lie in C order",                       "TorchProteinLibrary#21",        ("reshape",),
          pullback("reshape", 0, _lost_in_a_copy)),
    Fault("reshape-fortran",           "from three axes on, the gradient is laid out in Fortran order",                        "ours",                          ("reshape",),
          pullback("reshape", 0, lambda g, y, x, *, shape: g.T.reshape(x.shape[::-1]).T if x.ndim > 2 else g.reshape(x.shape))),

    Fault("b070-transpose",            "the permutation is applied again, and not its inverse",                                "ml-explore/mlx#3700",           ("transpose",),
          pullback("transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))),
    Fault("b125-transpose",            "negative axes are sorted as they are, to find the inverse",                            "pytorch/pytorch#5945",          ("transpose",),
          pullback("transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes and [int(i) for i in np.argsort(axes)]))),
    Fault("transpose-last-two",        "where no axes are named, the last two are exchanged on the way back",                  "ours",                          ("transpose",),
          around("transpose", 0, lambda right: lambda g, y, x, *, axes:
              np.swapaxes(g, -1, -2) if axes is None and x.ndim > 1 else right(g, y, x, axes=axes))),
    Fault("transpose-four",            "from four axes on, the permutation is applied again",                                  "ours",                          ("transpose",),
          around("transpose", 0, lambda right: lambda g, y, x, *, axes: np.transpose(g, axes) if x.ndim > 3 else right(g, y, x, axes=axes))),

    Fault("swapaxes-last-two",         "the last two axes are exchanged on the way back, whichever were named",                "ours",                          ("swapaxes",),
          pullback("swapaxes", 0, _swapped_last)),
    Fault("swapaxes-signless",         "a negative axis is taken for the positive one of its size",                            "ours",                          ("swapaxes",),
          pullback("swapaxes", 0, _signless)),
    Fault("swapaxes-moved",            "one axis is moved to the place of the other: the same for neighbours",                 "ours",                          ("swapaxes",),
          forward("swapaxes", lambda x, *, axis1, axis2: np.moveaxis(x, axis1, axis2))),

    Fault("b042-expand-dims",          "a negative axis is off by one",                                                        "Theano/Theano@f815e11",         ("expand_dims",),
          forward("expand_dims", _one_too_low)),
    Fault("b129-expand-dims",          "all axes of length 1 go on the way back, the operand's own too",                       "folklore",                      ("expand_dims",),
          pullback("expand_dims", 0, lambda g, y, x, *, axis: np.squeeze(g))),
    Fault("expand-dims-operands-axes", "several axes are counted among the operand's, not the result's",                       "ours",                          ("expand_dims",),
          forward("expand_dims", _among_the_operands)),
    Fault("expand-dims-transposed",    "where several axes came in, the gradient is transposed",                               "ours",                          ("expand_dims",),
          pullback("expand_dims", 0, lambda g, y, x, *, axis: (g.T if isinstance(axis, tuple) else g).reshape(x.shape))),

    Fault("b129-squeeze",              "of several axes that went, the first comes back",                                      "folklore",                      ("squeeze",),
          pullback("squeeze", 0, lambda g, y, x, *, axis: np.expand_dims(g, axis or 0))),
    Fault("squeeze-all",               "an axis that is named alone takes all of length 1 with it",                            "ours",                          ("squeeze",),
          forward("squeeze", lambda x, *, axis: np.squeeze(x, axis) if isinstance(axis, tuple) else np.squeeze(x, axis).squeeze())),
    Fault("squeeze-number",            "an array of a single number keeps an axis",                                            "ours",                          ("squeeze",),
          forward("squeeze", lambda x, *, axis: np.atleast_1d(np.squeeze(x, axis)))),
    Fault("squeeze-named-order",       "axes come back in the order in which they were named",                                 "ours",                          ("squeeze",),
          pullback("squeeze", 0, _in_named_order)),

    Fault("b009-broadcast-to",         "the gradient is the cotangent of the first copy",                                      "HIPS/autograd#384",             ("broadcast_to",),
          pullback("broadcast_to", 0, _first_copy)),
    Fault("b009-broadcast-to-mean",    "the gradient is averaged over the copies",                                             "HIPS/autograd#384",             ("broadcast_to",),
          pullback("broadcast_to", 0, lambda g, y, x, *, shape: g * (x.size / max(g.size, 1)))),
    Fault("b136-broadcast-to",         "the wrong blocks are summed, as if each number had been repeated by itself",           "tracel-ai/burn#2777",           ("broadcast_to",),
          pullback("broadcast_to", 0, _other_blocks)),
    Fault("broadcast-to-stretched",    "axes that came in front are summed, and those that were stretched averaged",           "ours",                          ("broadcast_to",),
          pullback("broadcast_to", 0, _stretched_averaged)),

    Fault("flip-first-named",          "of several axes, only the first named is flipped back",                                "ours",                          ("flip",),
          pullback("flip", 0, _flipped(lambda axis, rank: axis[:1] if isinstance(axis, tuple) else axis))),
    Fault("flip-falsy",                "`axis or None`: axis 0 is flipped back along all axes",                                "folklore",                      ("flip",),
          pullback("flip", 0, _flipped(lambda axis, rank: axis or None))),
    Fault("flip-signless",             "a negative axis is taken for the positive one of its size",                            "ours",                          ("flip",),
          pullback("flip", 0, _flipped(_signless_axes))),

    Fault("b130-concatenate",          "a piece is looked for at its number, not where it starts: right for pieces of 1",      "tracel-ai/burn#402",            ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis: position))),
    Fault("b133-concatenate",          "from three axes on, pieces are cut from the first axis",                               "improbable-research/keanu#279", ("concatenate",),
          pullback("concatenate", 0, _cut(_before, lambda axis, g: 0 if g.ndim > 2 else axis or 0))),
    Fault("b134-concatenate",          "an operand that is joined twice gets its latest piece twice",                          "Theano/Theano#2747",            ("concatenate",),
          around("concatenate", 0, _latest)),
    Fault("concatenate-third",         "a third piece is looked for as if the first had no length",                            "ours",                          ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis: sum(lengths[:position][-1:])))),
    Fault("concatenate-flat-equal",    "axis=None: pieces are taken to be equally long",                                       "ours",                          ("concatenate",),
          pullback("concatenate", 0, _begun_at(lambda lengths, position, axis:
              position * lengths[position] if axis is None else _before(lengths, position, axis)))),

    Fault("b134-stack",                "an operand that stands there twice gets its latest cotangent twice",                   "Theano/Theano#2747",            ("stack",),
          around("stack", 0, _latest)),
    Fault("stack-operands-rank",       "a negative axis is counted from the end of the operand",                               "ours",                          ("stack",),
          pullback("stack", 0, _by_operands_rank)),
    Fault("stack-third",               "the third operand gets the cotangent of the second",                                   "ours",                          ("stack",),
          around("stack", 0, lambda right: lambda g, y, *xs, axis, position: right(
              g, y, *xs, axis=axis, position=min(position, 1)))),

    Fault("b114-split",                "a piece that begins beyond the end is padded with too many zeros",                     "jax-ml/jax#4599",               ("split",),
          pullback("split", 0, _padded_to_length)),
    Fault("split-other-end",           "along a negative axis the piece comes back as far from the other end",                 "ours",                          ("split",),
          around("split", 0, _from_the_other_end)),

    Fault("b136-pad",                  "mode wrap: copies are laid from the first number on, not from where they reach it",    "tracel-ai/burn#2777",           ("pad",),
          around("pad", 0, _wrapped_from_the_first)),
    Fault("b137-pad",                  "the padding is cut off by -0 where there is none behind: nothing is left",             "HIPS/autograd@7b61be3",         ("pad",),
          around("pad", 0, _cut_off_from_behind)),
    Fault("pad-reflect-symmetric",     "mode reflect: the edge is repeated on the way back, as by mode symmetric",             "ours",                          ("pad",),
          around("pad", 0, _padded_as(lambda mode, pad_width: {"mode": mode.replace("reflect", "symmetric")}))),
    Fault("pad-edge-cut-off",          "mode edge: the padding is cut off, and its cotangents with it",                        "ours",                          ("pad",),
          around("pad", 0, _padded_as(lambda mode, pad_width: {"mode": mode.replace("edge", "constant")}))),
    Fault("pad-width-behind",          "the padding is cut off as wide in front as it is behind",                              "ours",                          ("pad",),
          around("pad", 0, _padded_as(_widths_exchanged))),
    Fault("pad-whole-value",           "the value that is padded with loses its fraction",                                     "ours",                          ("pad",),
          forward("pad", lambda x, *, pad_width, mode, **values: np.pad(
              x, pad_width, mode, **{name: int(value) for name, value in values.items()}) if x.ndim else x)),
)
# fmt: on
